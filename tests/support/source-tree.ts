import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';

const ROOT = join(import.meta.dir, '../..');

/** One `import` or `export … from`, with the file it leads to if that is a file of ours. */
export interface Import {
  readonly from: string;
  readonly specifier: string;
  /** Path in the repository, or null for packages and what the runtime brings. */
  readonly target: string | null;
  /** Gone after compilation: it can couple types, but no behaviour. */
  readonly typeOnly: boolean;
  /** Names that are imported as values. */
  readonly names: readonly string[];
}

/** Files of the repository that fit a glob, as paths from its root, sorted. */
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

/** Everything that a file imports, statically or dynamically. */
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

/** All files that are reached from these by imports, themselves included. */
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

/** The code of a file without types and comments, so that a word in a comment counts as nothing. */
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
