import { describe, expect, test } from 'bun:test';
import { basename, dirname, join, normalize } from 'node:path';
import { envExample, settingsPage } from '../src/cli/settings-text.ts';
import { brokenAnchorsOf } from './support/document-anchors.ts';
import {
  codeOf,
  exists,
  filesOf,
  type Import,
  importsOf,
  isFolder,
  reachableFrom,
  sourceOf,
  textOf,
} from './support/source-tree.ts';

const SOURCE = filesOf('src/**/*.ts');
const SCRIPTS = filesOf('src/**/*.{js,mjs}', 'infra/**/*.{ts,js,mjs}');
const CODE = [...SOURCE, ...SCRIPTS, ...filesOf('tests/**/*.ts')];
const DOCUMENTS = filesOf('*.md', 'docs/**/*.md').filter((path) => path !== 'CHANGELOG.md');

const imports = SOURCE.flatMap(importsOf);
const tell = ({ from, specifier }: Import) => `${from} imports ${specifier}`;
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
    expect(wrong.map(tell)).toEqual([]);
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
    expect(wrong.map(tell)).toEqual([]);
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
    expect(wrong.map(tell)).toEqual([]);
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
    expect(wrong.map(tell)).toEqual([]);
  });

  test('let the feature.ts of a context alone construct its repositories', () => {
    const constructing = imports.filter(
      ({ target, typeOnly }) => !typeOnly && target?.endsWith('/repository.ts'),
    );
    const wrong = constructing.filter(
      ({ from, target }) => !isFeature(from) || contextOf(from) !== contextOf(target!),
    );
    expect(wrong.map(tell)).toEqual([]);
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
    expect(wrong.map(tell)).toEqual([]);
  });
});

test('nothing lies directly in src/adapters: each port has a folder', () => {
  expect(filesOf('src/adapters/*')).toEqual([]);
});

describe('the envelope', () => {
  const ENVELOPE = filesOf('src/envelope/*.ts');

  test('needs no package and no runtime: web standards only', () => {
    const foreign = imports.filter(({ from, target }) => layerOf(from) === 'envelope' && target === null);
    expect(foreign.map(tell)).toEqual([]);
    const globals = /\b(?:Bun|process|Buffer|setImmediate|require|__dirname)\b|import\.meta/;
    expect(ENVELOPE.filter((path) => globals.test(codeOf(path)))).toEqual([]);
  });

  test('has a unit test for each of its files', () => {
    const tests = ENVELOPE.map((path) => path.replace('src/', 'tests/unit/').replace('.ts', '.test.ts'));
    expect(tests.filter((path) => !exists(path))).toEqual([]);
  });
});

describe('every file', () => {
  test('is reached from an entry point', () => {
    const named = ['package.json', '.ci/run', ...filesOf('tests/**/*.ts')].map(textOf).join('\n');
    const entries = SCRIPTS.filter((path) => path.startsWith('infra/') && named.includes(path));
    const inBrowser = SCRIPTS.filter((path) => {
      const served = textOf('src/features/system/documentation/router.ts').includes(`'${basename(path)}'`);
      return served && dirname(path) === 'src/features/system/documentation';
    });
    // A file of src that only tests import is not part of the product.
    const product = reachableFrom(['src/main.ts', ...inBrowser]);
    const tools = reachableFrom([...entries, ...filesOf('tests/**/*.ts')]);
    const lost = [...SOURCE, ...SCRIPTS].filter(
      (path) => !product.has(path) && !(path.startsWith('infra/') && tools.has(path)),
    );
    expect(lost).toEqual([]);
  });

  test('is named after what it holds: no barrels, no drawers', () => {
    const drawers = /(?:^|\/)(?:index|helpers?|misc|common|shared|util|[\w-]*manager)\.\w+$/i;
    expect(CODE.filter((path) => drawers.test(path))).toEqual([]);
    expect(CODE.filter((path) => /^export (?:type )?(?:\*|\{[^}]*\}) from/m.test(textOf(path)))).toEqual([]);
  });

  test('has at most 300 lines', () => {
    const files = [...CODE, ...filesOf('sql/**/*.sql', '.ci/*')];
    const long = files.map((path) => [path, textOf(path).trimEnd().split('\n').length] as const);
    expect(long.filter(([, lines]) => lines > 300)).toEqual([]);
  });

  test('has lines of at most 120 characters in src, texts that cannot be broken aside', () => {
    const literal = /'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`|\/\^.*\$\/\w*/g;
    const long = SOURCE.flatMap((path) =>
      textOf(path)
        .split('\n')
        .map((line, i) => ({ at: `${path}:${i + 1}`, length: [...line.replaceAll(literal, '')].length })),
    );
    expect(long.filter(({ length }) => length > 120)).toEqual([]);
  });

  test('is finished', () => {
    // Spelled so that this line does not find itself.
    const unfinished = /\b(?:TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b/;
    const files = [...CODE, ...DOCUMENTS, ...filesOf('sql/**/*.sql', '.ci/*')];
    expect(files.filter((path) => unfinished.test(textOf(path)))).toEqual([]);
  });
});

test('migrations come in pairs, up and down, numbered without a gap', () => {
  const files = filesOf('sql/migrations/*').map((path) => basename(path));
  const ups = files.filter((file) => file.endsWith('.up.sql'));
  expect(ups.length).toBeGreaterThan(0);
  expect(files).toEqual(ups.flatMap((up) => [up.replace('.up.', '.down.'), up]));
  expect(ups.map((up) => Number(up.slice(0, 4)))).toEqual(ups.map((_, i) => i + 1));
});

test('each SQL function is one file with a number, and no later migration has a copy of it', () => {
  const createdIn = (path: string) =>
    [...textOf(path).matchAll(/\bCREATE\b[^;]*?\bFUNCTION\s+(\w+)/gi)].map(([, name]) => name!);
  const files = filesOf('sql/functions/*');
  const names = files.map((path) => basename(path, '.sql'));
  expect(files.map(createdIn)).toEqual(names.map((name) => [name]));
  const header = /^-- number: [1-9]\d*\n-- migration: [1-9]\d*\n(?:--.*\n)+CREATE OR REPLACE FUNCTION /;
  expect(files.filter((path) => !header.test(textOf(path)))).toEqual([]);
  const later = filesOf('sql/migrations/*.up.sql').filter((path) => basename(path) > '0006');
  expect(later.filter((path) => createdIn(path).some((name) => names.includes(name)))).toEqual([]);
});

describe('the documents', () => {
  const PATH = /^(?:src|tests|sql|infra|docs|\.ci)\/[\w./*-]*/;
  const FILE_NAME = /^[\w-][\w.-]*\.(?:ts|mjs|sql|md|toml|lock)$/;
  const everyFile = filesOf('*', '{src,tests,sql,infra,docs,.ci}/**/*');

  /** `src/features/NAME/feature.ts` stands for any feature. */
  const isPlaceholder = (path: string) => /\bNAME\b/.test(path);

  function isThere(path: string): boolean {
    const plain = path.replace(/[./]+$/, '');
    if (path.includes('*')) return filesOf(path).length > 0;
    return exists(plain) || isFolder(plain);
  }

  test.each(DOCUMENTS)('%s names only paths that exist', (document) => {
    const text = textOf(document);
    const words = text.split(/[\s`'"()[\]<>|,;]+/).map((word) => PATH.exec(word)?.[0]);
    const missing = words.filter((path) => path !== undefined && !isPlaceholder(path) && !isThere(path));
    const quoted = [...text.matchAll(/`([^`\n]+)`/g)].map(([, inside]) => inside!);
    const strangers = quoted.filter(
      (name) =>
        FILE_NAME.test(name) && !isPlaceholder(name) && !everyFile.some((path) => basename(path) === name),
    );
    expect([...missing, ...strangers]).toEqual([]);
  });

  test.each(DOCUMENTS)('%s links only to files that exist', (document) => {
    const targets = [...textOf(document).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
    const local = targets.filter((target) => !/^(?:[a-z]+:|#)/.test(target));
    const missing = local.filter((target) => {
      return !exists(normalize(join(dirname(document), target.replace(/#.*$/, ''))));
    });
    expect(missing).toEqual([]);
  });

  test('hold the settings as the schema has them', () => {
    expect(textOf('.env.example')).toBe(envExample());
    expect(textOf('docs/settings.md')).toBe(settingsPage());
  });

  test('list every layer of the pipeline in ADR 002, outermost first', () => {
    const list = /\): Middleware\[\] \{\s+return \[([\s\S]*?)\n {2}\];/.exec(textOf('src/app.ts'))![1]!;
    const layers = [...list.matchAll(/^ {4}(\w+)\(/gm)].map(([, name]) => name!);
    expect(layers.length).toBeGreaterThan(10);
    const rows = [...textOf('docs/adr/002-the-envelope.md').matchAll(/^\| `(\w+)` \|/gm)];
    expect(rows.map(([, name]) => name!)).toEqual(layers);
  });

  test('list every script, and every script runs a file that exists', () => {
    const scripts: Record<string, string> = JSON.parse(textOf('package.json')).scripts;
    const contributing = textOf('CONTRIBUTING.md');
    const unlisted = Object.keys(scripts).filter((name) => !contributing.includes(`| \`${name}\` |`));
    expect(unlisted).toEqual([]);
    const files = Object.values(scripts).flatMap(
      (script) => script.match(/\b(?:src|infra|tests)\/[\w./-]+/g) ?? [],
    );
    expect(files.filter((path) => !exists(path))).toEqual([]);
  });

  test.each(DOCUMENTS)('%s links only to headings that exist', (document) => {
    expect(brokenAnchorsOf(document)).toEqual([]);
  });
});

describe('the unit tests', () => {
  /** Suites of a whole behavior, which no single file of src has. */
  const WHOLE_BEHAVIOR = ['overload-changes', 'overload-mixtures', 'overload'];

  test('lead to their source by their path', () => {
    const withoutSource = filesOf('tests/unit/**/*.test.ts').filter((path) => sourceOf(path) === undefined);
    expect(withoutSource).toEqual(WHOLE_BEHAVIOR.map((name) => `tests/unit/shedding/${name}.test.ts`));
  });

  test('await every assertion on a promise, which lint cannot see', () => {
    const floating = /^\s*expect\((?:(?!;\n)[\s\S])*?\)\s*\.(?:not\s*\.)?(?:rejects|resolves)\b/m;
    expect(filesOf('tests/**/*.test.ts').filter((path) => floating.test(textOf(path)))).toEqual([]);
  });
});
