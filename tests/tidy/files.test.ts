import { describe, expect, test } from 'bun:test';
import { basename, dirname } from 'node:path';
import { filesOf, reachableFrom, sourceOf, textOf } from '../support/source-tree.ts';

const SOURCE = filesOf('src/**/*.ts');
const SCRIPTS = filesOf('src/**/*.{js,mjs}', 'infra/**/*.{ts,js,mjs}');
const CODE = [...SOURCE, ...SCRIPTS, ...filesOf('tests/**/*.ts')];

describe('every file', () => {
  test('is reached from an entry point', () => {
    const named = ['package.json', '.ci/run', ...filesOf('tests/**/*.ts')].map(textOf).join('\n');
    const entries = SCRIPTS.filter((path) => path.startsWith('infra/') && named.includes(path));
    const inBrowser = SCRIPTS.filter((path) => {
      const served = textOf('src/features/system/documentation/router.ts').includes(`'${basename(path)}'`);
      return served && dirname(path) === 'src/features/system/documentation';
    });
    // A source file that only tests import is dead code.
    const product = reachableFrom(['src/main.ts', ...inBrowser]);
    const tools = reachableFrom([...entries, ...filesOf('tests/**/*.ts')]);
    const lost = [...SOURCE, ...SCRIPTS].filter(
      (path) => !product.has(path) && !(path.startsWith('infra/') && tools.has(path)),
    );
    expect(lost).toEqual([]);
  });

  test('is named after its content: no barrels, no catch-all names', () => {
    const drawers = /(?:^|\/)(?:index|helpers?|misc|common|shared|util|[\w-]*manager)\.\w+$/i;
    expect(CODE.filter((path) => drawers.test(path))).toEqual([]);
    expect(CODE.filter((path) => /^export (?:type )?(?:\*|\{[^}]*\}) from/m.test(textOf(path)))).toEqual([]);
  });

  test('has at most 300 lines', () => {
    const files = [...CODE, ...filesOf('sql/**/*.sql', '.ci/*')];
    const long = files.map((path) => [path, textOf(path).trimEnd().split('\n').length] as const);
    expect(long.filter(([, lines]) => lines > 300)).toEqual([]);
  });

  test('has lines of at most 120 characters in src, except for unbreakable literals', () => {
    const literal = /'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`|\/\^.*\$\/\w*/g;
    const long = SOURCE.flatMap((path) =>
      textOf(path)
        .split('\n')
        .map((line, i) => ({ at: `${path}:${i + 1}`, length: [...line.replaceAll(literal, '')].length })),
    );
    expect(long.filter(({ length }) => length > 120)).toEqual([]);
  });

  test('has no unfinished work', () => {
    // Spelled so that this line does not find itself.
    const unfinished = /\b(?:TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b/;
    const files = [...CODE, ...filesOf('*.md', 'docs/**/*.md', 'sql/**/*.sql', '.ci/*')];
    expect(files.filter((path) => unfinished.test(textOf(path)))).toEqual([]);
  });
});

test('functions are bounded by the linter: 70 lines, and 120 where routes are mounted', () => {
  const biome = JSON.parse(textOf('biome.json'));
  const maxLinesOf = (config: {
    linter: { rules: { complexity?: Record<string, { options?: unknown }> } };
  }) => config.linter.rules.complexity?.noExcessiveLinesPerFunction?.options;
  const limits = biome.overrides.map(maxLinesOf).filter(Boolean);
  expect(limits).toEqual([{ maxLines: 70 }, { maxLines: 120 }]);
});

test('migrations come in pairs, up and down, numbered without a gap', () => {
  const files = filesOf('sql/migrations/*').map((path) => basename(path));
  const ups = files.filter((file) => file.endsWith('.up.sql'));
  expect(ups.length).toBeGreaterThan(0);
  expect(files).toEqual(ups.flatMap((up) => [up.replace('.up.', '.down.'), up]));
  expect(ups.map((up) => Number(up.slice(0, 4)))).toEqual(ups.map((_, i) => i + 1));
});

test('each SQL function is one numbered file, and no later migration contains a copy of it', () => {
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

describe('the unit tests', () => {
  /** Suites of a behavior that spans several source files. */
  const WHOLE_BEHAVIOR = [
    'overload-batches',
    'overload-changes',
    'overload-loop',
    'overload-mixtures',
    'overload',
  ];

  test('have the path of their source', () => {
    const withoutSource = filesOf('tests/unit/**/*.test.ts').filter((path) => sourceOf(path) === undefined);
    expect(withoutSource).toEqual(WHOLE_BEHAVIOR.map((name) => `tests/unit/shedding/${name}.test.ts`));
  });

  test('and the other tests lie in folders named after what they test', () => {
    const foldersOf = (glob: string) => [
      ...new Set(filesOf(glob).map((path) => path.split('/').slice(2, -1)[0]!)),
    ];
    const tested = (kind: string) => foldersOf(`tests/${kind}/*/**/*.test.ts`);
    const contexts = foldersOf('src/features/*/feature.ts');
    expect(contexts.filter((context) => !tested('http').includes(context))).toEqual([]);
    const ports = foldersOf('src/adapters/*/**/*.ts');
    expect(ports.filter((port) => !tested('contract').includes(port))).toEqual([]);
  });

  test('await every assertion on a promise, which lint does not check', () => {
    const floating = /^\s*expect\((?:(?!;\n)[\s\S])*?\)\s*\.(?:not\s*\.)?(?:rejects|resolves)\b/m;
    expect(filesOf('tests/**/*.test.ts').filter((path) => floating.test(textOf(path)))).toEqual([]);
  });
});
