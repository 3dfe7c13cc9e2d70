import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prepareCommitSocket, removeCommitSockets } from '../../../src/cluster/commit-socket.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atlas-commit-'));
});
afterAll(() => rm(folder, { recursive: true }));

test('every incarnation has a socket of its own, in a folder that is created', () => {
  const dataDir = join(folder, 'new');
  const paths = [1, 2].map((incarnation) => prepareCommitSocket(dataDir, 8000, { slot: 0, incarnation }));
  expect(new Set(paths).size).toBe(2);
});

test('a path that is too long for a socket is refused', () => {
  const dataDir = join(folder, 'x'.repeat(100));
  expect(() => prepareCommitSocket(dataDir, 8000, { slot: 0, incarnation: 1 })).toThrow(
    /commit socket[\s\S]*ATLAS_DATA_DIR/,
  );
});

test('only the sockets of this port are removed at the start', async () => {
  const dataDir = join(folder, 'leftovers');
  prepareCommitSocket(dataDir, 8000, { slot: 0, incarnation: 1 });
  for (const name of ['commit-8000-0-7.sock', 'commit-80-0-1.sock', 'serve-8000.sock'])
    await writeFile(join(dataDir, name), '');
  removeCommitSockets(dataDir, 8000);
  expect((await readdir(dataDir)).sort()).toEqual(['commit-80-0-1.sock', 'serve-8000.sock']);
});
