import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';

const ROOT = join(import.meta.dir, '../..');

/** One `import` or `export … from`. */
export interface Import {
  readonly from: string;
  readonly specifier: string;
  /** Path in the repository. Null for packages and runtime modules. */
  readonly target: string | null;
  /** Erased by compilation: it couples types, but no behavior. */
  readonly typeOnly: boolean;
  /** Names imported as values. */
  readonly names: readonly string[];
}

/** Returns the files of the repository that match a glob, as sorted paths from its root. */
export function filesOf(...globs: readonly string[]): string[] {
  const found = globs.flatMap((glob) => [...new Bun.Glob(glob).scanSync({ cwd: ROOT, dot: true })]);
  return [...new Set(found)].filter((path) => !path.includes('node_modules')).sort();
}

export function textOf(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

export function exists(path: string): boolean {
  return existsSync(join(ROOT, path));
}

export function isFolder(path: string): boolean {
  return exists(path) && statSync(join(ROOT, path)).isDirectory();
}

const IMPORT = /^(?:import|export)\s+(type\s+)?([^'";]*?)\s*from\s+'([^']+)'/gm;
const BARE_IMPORT = /^import\s+'([^']+)'|\bimport\('([^']+)'\)/gm;

/** Returns all static and dynamic imports of a file. */
export function importsOf(path: string): Import[] {
  const text = textOf(path);
  const target = (specifier: string) =>
    specifier.startsWith('.') ? normalize(join(dirname(path), specifier)) : null;
  const named = [...text.matchAll(IMPORT)].map(([, type, clause, specifier]): Import => {
    const names = clause!.split(/[{},]/).map((name) => name.trim());
    const values = names.filter((name) => name !== '' && !name.startsWith('type '));
    const typeOnly = type !== undefined || values.length === 0;
    return {
      from: path,
      specifier: specifier!,
      target: target(specifier!),
      typeOnly,
      names: typeOnly ? [] : values,
    };
  });
  const bare = [...text.matchAll(BARE_IMPORT)].map(([, a, b]): Import => {
    const specifier = (a ?? b)!;
    return { from: path, specifier, target: target(specifier), typeOnly: false, names: [] };
  });
  return [...named, ...bare];
}

/** Returns the files that these reach by imports, including these. */
export function reachableFrom(entries: readonly string[]): Set<string> {
  const reached = new Set<string>();
  const waiting = [...entries];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (reached.has(path) || !exists(path)) continue;
    reached.add(path);
    if (!/\.[cm]?[jt]s$/.test(path)) continue;
    for (const { target } of importsOf(path)) if (target !== null) waiting.push(target);
  }
  return reached;
}

/** Returns the code of a file without types and comments. */
export function codeOf(path: string): string {
  return new Bun.Transpiler({ loader: 'ts', minifyWhitespace: false }).transformSync(textOf(path));
}

/** Returns what a unit test tests: `tests/unit/a/b-c.test.ts` tests `src/a/b-c.ts`, or one aspect of `src/a/b.ts`. */
export function sourceOf(path: string): string | undefined {
  const words = basename(path, '.test.ts').split('-');
  const folder = dirname(path).replace(/^tests\/unit/, 'src');
  const names = words.map((_, i) => `${folder}/${words.slice(0, words.length - i).join('-')}.ts`);
  return names.find(exists);
}
