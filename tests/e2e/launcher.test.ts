import { afterEach, beforeEach, expect, test } from 'bun:test';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isAvailable } from '../support/is-available.ts';
import { makeFolder, removeFolder } from './atlas-process.ts';

const ROOT = join(import.meta.dir, '..', '..');
const TIMEOUT_MS = 30_000;

let folder: string;
beforeEach(async () => {
  folder = await makeFolder();
});
afterEach(() => removeFolder(folder));

/** Launches a server that exits with one code after the other; returns how often it was started, and the last code. */
async function launch(codes: readonly number[]): Promise<{ starts: number; code: number } | null> {
  const node = Bun.which('node');
  if (!isAvailable('Node', node)) return null;
  const starts = join(folder, 'starts');
  const script = `import { appendFileSync, readFileSync } from 'node:fs';
appendFileSync(${JSON.stringify(starts)}, '.');
process.exit(${JSON.stringify(codes)}[readFileSync(${JSON.stringify(starts)}, 'utf8').length - 1]);`;
  writeFileSync(join(folder, 'main.ts'), script);
  const launcher = Bun.spawn([node, join(ROOT, 'infra', 'launch.mjs'), join(folder, 'main.ts')], {
    stdio: ['ignore', 'ignore', 'ignore'],
    env: { PATH: process.env.PATH ?? '', HOME: folder },
  });
  const code = await launcher.exited;
  return { starts: existsSync(starts) ? readFileSync(starts, 'utf8').length : 0, code };
}

test(
  'a server that fails while serving is restarted',
  async () => {
    const launched = await launch([75, 75, 0]);
    if (launched) expect(launched).toEqual({ starts: 3, code: 0 });
  },
  TIMEOUT_MS,
);

test(
  'a server that fails to start is not restarted',
  async () => {
    const launched = await launch([1, 0]);
    if (launched) expect(launched).toEqual({ starts: 1, code: 1 });
  },
  TIMEOUT_MS,
);

test(
  'a server that keeps failing is restarted five times at most',
  async () => {
    const launched = await launch(Array(10).fill(75));
    if (launched) expect(launched).toEqual({ starts: 6, code: 75 });
  },
  TIMEOUT_MS,
);
