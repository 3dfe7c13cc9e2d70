import { describe, expect, test } from 'bun:test';
import { basename } from 'node:path';
import { codeOf, exists, filesOf, type Import, importsOf, textOf } from '../support/source-tree.ts';

const SOURCE = filesOf('src/**/*.ts');

const imports = SOURCE.flatMap(importsOf);
const describeImport = ({ from, specifier }: Import) => `${from} imports ${specifier}`;
/** `src/envelope/cors.ts` belongs to `envelope`, `src/errors.ts` to `errors`, `src/features.ts` to `feature-list`. */
const layerOf = (path: string) =>
  path === 'src/features.ts' ? 'feature-list' : path.split('/')[1]!.replace(/\.ts$/, '');
/** `src/features/ledger/feature.ts`, which builds the features of a context, and its parts, such as `people-feature.ts`. */
const isFeature = (path: string) => /^src\/features\/[^/]+\/(?:\w+-)?feature\.ts$/.test(path);
const contextOf = (path: string) => /^src\/features\/([^/]+)\//.exec(path)?.[1];
const isRouter = (path: string) => path.endsWith('/router.ts');
const featureOf = (path: string) => /^src\/features\/(.+)\/[^/]+$/.exec(path)?.[1];

/** The layers that each layer may import, and those it may import only types from. */
const ARROWS: Readonly<Record<string, { readonly values: string; readonly types?: string }>> = {
  utils: { values: '' },
  errors: { values: '' },
  version: { values: '' },
  settings: { values: 'utils' },
  config: { values: 'settings feature-list utils' },
  envelope: { values: 'utils', types: 'shedding' },
  shedding: { values: 'utils', types: 'envelope' },
  resilience: { values: 'utils errors' },
  adapters: { values: 'resilience utils errors' },
  instrumentation: { values: 'adapters resilience utils errors', types: 'envelope shedding config' },
  http: { values: 'utils errors version', types: 'envelope shedding' },
  features: { values: 'http instrumentation adapters resilience utils errors', types: 'envelope shedding' },
  'feature-list': { values: 'features http adapters version', types: 'deps' },
  deps: { values: 'adapters shedding instrumentation', types: 'config resilience utils' },
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

describe('dependencies between layers', () => {
  test('go from main through cli, app and features to adapters, and never back', () => {
    const wrong = imports.filter(({ from, target, typeOnly }) => {
      if (target === null || !target.startsWith('src/')) return false;
      const [here, there] = [layerOf(from), layerOf(target)];
      const { values, types = '' } = ARROWS[here] ?? { values: '' };
      return here !== there && !`${values} ${typeOnly ? types : ''}`.split(' ').includes(there);
    });
    expect(wrong.map(describeImport)).toEqual([]);
  });

  test('are declared for every layer', () => {
    expect([...new Set(SOURCE.map(layerOf))].filter((layer) => ARROWS[layer] === undefined)).toEqual([]);
  });

  test('leave src only for package.json', () => {
    const outside = imports.filter(({ target }) => target !== null && !target.startsWith('src/'));
    expect(outside.map(({ target }) => target)).toEqual(['package.json']);
  });

  test('allow adapters only in repositories, workers and the feature.ts of a context', () => {
    const wrong = imports.filter(
      ({ from, target, typeOnly }) =>
        featureOf(from) !== undefined &&
        target?.startsWith('src/adapters/') &&
        !isFeature(from) &&
        // The metrics of a feature read the stats of its workers.
        !(typeOnly && from.endsWith('-metrics.ts')) &&
        from !== 'src/features/feature.ts' &&
        !/\/(?:repository|relay|delivery-sender|mail-sender|fan-out)\.ts$/.test(from),
    );
    expect(wrong.map(describeImport)).toEqual([]);
    expect(imports.some(({ from, target }) => isRouter(from) && target?.startsWith('src/adapters/'))).toBe(
      false,
    );
  });

  test('allow only utils, errors and Node modules in domain.ts', () => {
    const wrong = imports.filter(
      ({ from, specifier, target }) =>
        basename(from) === 'domain.ts' &&
        !specifier.startsWith('node:') &&
        !/^src\/(?:utils\/|errors\.ts$)/.test(target ?? ''),
    );
    expect(wrong.map(describeImport)).toEqual([]);
  });

  test('allow a feature to use only the service of another feature', () => {
    const shared = /^src\/features\/[\w-]+\.ts$/;
    const wrong = imports.filter(({ from, target }) => {
      const [here, there] = [featureOf(from), featureOf(target ?? '')];
      if (!here || !there || here === there || shared.test(target!)) return false;
      // A feature.ts may import everything in its own context, and nothing of another one.
      if (isFeature(from)) return contextOf(from) !== contextOf(target!);
      // Files beside it belong to the whole context.
      if (there === contextOf(from) && !isFeature(target!)) return false;
      return basename(target!) !== 'service.ts';
    });
    expect(wrong.map(describeImport)).toEqual([]);
  });

  test('allow only the feature.ts of a context to construct its repositories', () => {
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

  test('is a module: each context has a feature.ts, and src/features.ts lists all of them', () => {
    expect(contexts.length).toBeGreaterThan(4);
    expect(contexts.filter((context) => !exists(`src/features/${context}/feature.ts`))).toEqual([]);
    const listed = imports.filter(
      ({ from, target }) => from === 'src/features.ts' && isFeature(target ?? ''),
    );
    // A context may have a second part, built from services that its first part is needed for.
    const names = new Set(listed.map(({ target }) => contextOf(target!)!));
    expect([...names].sort()).toEqual(contexts.toSorted());
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
  /** The files that the folder of a port exposes to the rest of src. All others are internal. */
  const PUBLIC: Readonly<Record<string, readonly string[]>> = {
    postgres: [
      'audit',
      'batched-reads',
      'connection-url',
      'core-tables',
      'database',
      'incarnation',
      'isolation',
      'migrations',
      'name-lock',
      'owned-ids',
      'page-of-bytes',
      'postgres',
      'query',
      'secrets-at-rest',
      'setup-fault',
      'sql-functions',
      'switch-isolation',
      'embedded/postgres-server',
    ],
    redis: ['redis', 'redis-fault', 'redis-lease-store', 'redis-script'],
    cache: ['cache', 'cache-aside', 'memory-cache', 'redis-cache'],
    'event-log': ['deferred-events', 'event-log', 'event-rows', 'postgres-log'],
    kafka: ['kafka-access', 'kafka-fault', 'kafka-log', 'kafka-reach'],
    'object-store': ['object-store', 'directory-store'],
    s3: ['s3-store'],
    oidc: ['identity-provider', 'openid-provider'],
    http: ['outgoing-http'],
    mail: ['mailer', 'open-mailer'],
  };
  /** Files that adapters share with each other. */
  const SHARED = [
    'event-log/consumer-counts',
    'event-log/inbox',
    'object-store/object-stream',
    'object-store/writable-folder',
  ];
  const placeOf = (path: string) => /^src\/adapters\/([\w-]+)\/(.+)\.ts$/.exec(path);

  test('is in the folder of its port, and src/adapters itself has no files', () => {
    expect(filesOf('src/adapters/*')).toEqual([]);
    const folders = filesOf('src/adapters/**/*.ts').flatMap((path) => placeOf(path)?.[1] ?? []);
    expect([...new Set(folders)].sort()).toEqual(Object.keys(PUBLIC).sort());
  });

  test('exposes only its public files', () => {
    const wrong = imports.filter(({ from, target }) => {
      const [, port, file] = placeOf(target ?? '') ?? [];
      if (port === undefined || placeOf(from)?.[1] === port) return false;
      const isShared = placeOf(from) !== null && SHARED.includes(`${port}/${file}`);
      return !PUBLIC[port]!.includes(file!) && !isShared;
    });
    expect(wrong.map(describeImport)).toEqual([]);
  });

  test('exposes no file that only it uses', () => {
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

  test('uses no package and no runtime API: web standards only', () => {
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
