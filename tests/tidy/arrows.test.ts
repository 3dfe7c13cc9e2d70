import { describe, expect, test } from 'bun:test';
import { basename } from 'node:path';
import { codeOf, exists, filesOf, type Import, importsOf, textOf } from '../support/source-tree.ts';

const SOURCE = filesOf('src/**/*.ts');

const imports = SOURCE.flatMap(importsOf);
const describeImport = ({ from, specifier }: Import) => `${from} imports ${specifier}`;
/** `src/envelope/cors.ts` belongs to `envelope`, `src/errors.ts` to `errors`, `src/features.ts` to `feature-list`. */
const layerOf = (path: string) =>
  path === 'src/features.ts' ? 'feature-list' : path.split('/')[1]!.replace(/\.ts$/, '');
/** `src/features/ledger/feature.ts`, which builds the features of a context. */
const isFeature = (path: string) => /^src\/features\/[^/]+\/feature\.ts$/.test(path);
const contextOf = (path: string) => /^src\/features\/([^/]+)\//.exec(path)?.[1];
const isRouter = (path: string) => path.endsWith('/router.ts');
const featureOf = (path: string) => /^src\/features\/(.+)\/[^/]+$/.exec(path)?.[1];

/** What each layer may import, and what it may import types of. Everything else is an arrow that is not drawn. */
const ARROWS: Readonly<Record<string, { readonly values: string; readonly types?: string }>> = {
  utils: { values: '' },
  errors: { values: '' },
  version: { values: '' },
  settings: { values: 'utils' },
  config: { values: 'settings feature-list', types: 'utils' },
  envelope: { values: 'utils', types: 'shedding' },
  shedding: { values: 'utils', types: 'envelope' },
  resilience: { values: 'utils errors' },
  adapters: { values: 'resilience utils errors' },
  instrumentation: { values: 'adapters resilience utils', types: 'envelope shedding config errors' },
  http: { values: 'utils errors version', types: 'envelope shedding' },
  features: { values: 'http instrumentation adapters resilience utils errors', types: 'envelope shedding' },
  'feature-list': { values: 'features http adapters version', types: 'deps' },
  deps: { values: 'adapters shedding', types: 'config instrumentation resilience utils' },
  app: {
    values: 'feature-list features http envelope shedding instrumentation',
    types: 'deps',
  },
  cluster: { values: 'app deps adapters resilience instrumentation config version utils errors' },
  cli: {
    values: 'cluster app deps feature-list features adapters instrumentation config version utils errors',
  },
  main: { values: 'cli config version' },
};

describe('the arrows of the house', () => {
  test('lead from main over cli, app and features to adapters, and never back', () => {
    const wrong = imports.filter(({ from, target, typeOnly }) => {
      if (target === null || !target.startsWith('src/')) return false;
      const [here, there] = [layerOf(from), layerOf(target)];
      const { values, types = '' } = ARROWS[here] ?? { values: '' };
      return here !== there && !`${values} ${typeOnly ? types : ''}`.split(' ').includes(there);
    });
    expect(wrong.map(describeImport)).toEqual([]);
  });

  test('are drawn for every layer there is', () => {
    expect([...new Set(SOURCE.map(layerOf))].filter((layer) => ARROWS[layer] === undefined)).toEqual([]);
  });

  test('lead out of src only to package.json', () => {
    const outside = imports.filter(({ target }) => target !== null && !target.startsWith('src/'));
    expect(outside.map(({ target }) => target)).toEqual(['package.json']);
  });

  test('let only repositories, workers and the feature.ts of a context reach adapters', () => {
    const wrong = imports.filter(
      ({ from, target, typeOnly }) =>
        featureOf(from) !== undefined &&
        target?.startsWith('src/adapters/') &&
        !isFeature(from) &&
        // A feature's metrics read the stats of what delivers to it.
        !(typeOnly && from.endsWith('-metrics.ts')) &&
        from !== 'src/features/feature.ts' &&
        !/\/(?:repository|relay|delivery-sender|fan-out)\.ts$/.test(from),
    );
    expect(wrong.map(describeImport)).toEqual([]);
    expect(imports.some(({ from, target }) => isRouter(from) && target?.startsWith('src/adapters/'))).toBe(
      false,
    );
  });

  test('let domain.ts know only utils, errors and what Node brings', () => {
    const wrong = imports.filter(
      ({ from, specifier, target }) =>
        basename(from) === 'domain.ts' &&
        !specifier.startsWith('node:') &&
        !/^src\/(?:utils\/|errors\.ts$)/.test(target ?? ''),
    );
    expect(wrong.map(describeImport)).toEqual([]);
  });

  test('let a feature use the service of another one and nothing else of it', () => {
    const shared = /^src\/features\/[\w-]+\.ts$/;
    const wrong = imports.filter(({ from, target }) => {
      const [here, there] = [featureOf(from), featureOf(target ?? '')];
      if (!here || !there || here === there || shared.test(target!)) return false;
      // The feature.ts of a context knows everything below it, and nothing of another context.
      if (isFeature(from)) return contextOf(from) !== contextOf(target!);
      return basename(target!) !== 'service.ts';
    });
    expect(wrong.map(describeImport)).toEqual([]);
  });

  test('let the feature.ts of a context alone construct its repositories', () => {
    const constructing = imports.filter(
      ({ target, typeOnly }) => !typeOnly && target?.endsWith('/repository.ts'),
    );
    const wrong = constructing.filter(
      ({ from, target }) => !isFeature(from) || contextOf(from) !== contextOf(target!),
    );
    expect(wrong.map(describeImport)).toEqual([]);
  });
});

describe('a feature', () => {
  const contexts = [...new Set(filesOf('src/features/*/**').flatMap((path) => contextOf(path) ?? []))];

  test('is a module: each context has a feature.ts, and the list has each of them', () => {
    expect(contexts.length).toBeGreaterThan(4);
    expect(contexts.filter((context) => !exists(`src/features/${context}/feature.ts`))).toEqual([]);
    const listed = imports.filter(
      ({ from, target }) => from === 'src/features.ts' && isFeature(target ?? ''),
    );
    expect(listed.map(({ target }) => contextOf(target!)).sort()).toEqual(contexts.toSorted());
  });

  test('is listed on one page of at most 90 lines', () => {
    expect(textOf('src/features.ts').trimEnd().split('\n').length).toBeLessThanOrEqual(90);
  });

  test('is handed ports, never the whole Deps', () => {
    const wrong = imports.filter(({ from, target }) => featureOf(from) && target === 'src/deps.ts');
    expect(wrong.map(describeImport)).toEqual([]);
  });
});

describe('an adapter', () => {
  /** What the folder of a port shows to the rest of src. Everything else in it is internal. */
  const PUBLIC: Readonly<Record<string, readonly string[]>> = {
    postgres: ['database', 'migrations', 'postgres', 'query', 'sql-functions', 'embedded/postgres-server'],
    redis: ['redis', 'redis-lease-store'],
    cache: ['cache', 'cache-aside', 'memory-cache', 'redis-cache'],
    'event-log': ['event-log', 'event-rows', 'postgres-log'],
    kafka: ['kafka-log'],
    'object-store': ['object-store', 'directory-store'],
    s3: ['s3-store'],
    http: ['outgoing-http'],
  };
  /** What adapters share among themselves. */
  const SHARED = ['event-log/consumer-counts', 'event-log/inbox', 'object-store/object-stream'];
  const placeOf = (path: string) => /^src\/adapters\/([\w-]+)\/(.+)\.ts$/.exec(path);

  test('lies in the folder of its port, and nothing lies directly in src/adapters', () => {
    expect(filesOf('src/adapters/*')).toEqual([]);
    const folders = filesOf('src/adapters/**/*.ts').flatMap((path) => placeOf(path)?.[1] ?? []);
    expect([...new Set(folders)].sort()).toEqual(Object.keys(PUBLIC).sort());
  });

  test('shows few files to the outside', () => {
    const wrong = imports.filter(({ from, target }) => {
      const [, port, file] = placeOf(target ?? '') ?? [];
      if (port === undefined || placeOf(from)?.[1] === port) return false;
      const isShared = placeOf(from) !== null && SHARED.includes(`${port}/${file}`);
      return !PUBLIC[port]!.includes(file!) && !isShared;
    });
    expect(wrong.map(describeImport)).toEqual([]);
  });

  test('shows nothing that is not used outside', () => {
    const used = imports.flatMap(({ from, target }) => {
      const [, port, file] = placeOf(target ?? '') ?? [];
      return port === undefined || placeOf(from)?.[1] === port ? [] : `${port}/${file}`;
    });
    const shown = Object.entries(PUBLIC).flatMap(([port, files]) => files.map((file) => `${port}/${file}`));
    expect([...shown, ...SHARED].filter((file) => !used.includes(file))).toEqual([]);
  });
});

describe('the envelope', () => {
  const ENVELOPE = filesOf('src/envelope/*.ts');

  test('needs no package and no runtime: web standards only', () => {
    const foreign = imports.filter(({ from, target }) => layerOf(from) === 'envelope' && target === null);
    expect(foreign.map(describeImport)).toEqual([]);
    const globals = /\b(?:Bun|process|Buffer|setImmediate|require|__dirname)\b|import\.meta/;
    expect(ENVELOPE.filter((path) => globals.test(codeOf(path)))).toEqual([]);
  });

  test('has a unit test for each of its files', () => {
    const tests = ENVELOPE.map((path) => path.replace('src/', 'tests/unit/').replace('.ts', '.test.ts'));
    expect(tests.filter((path) => !exists(path))).toEqual([]);
  });
});
