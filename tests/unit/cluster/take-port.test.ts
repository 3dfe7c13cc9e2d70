import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { takePort } from '../../../src/cluster/take-port.ts';

const HOST = '127.0.0.1';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'atlas-port-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('a port that was taken is nobody else’s, though nobody listens on it yet', async () => {
  const first = await takePort(HOST, 0, folder);
  await expect(takePort(HOST, first.port, folder, 0)).rejects.toThrow(
    new RegExp(`^Atlas already runs on port ${first.port}\\.[\\s\\S]*do: +\\S`),
  );
  first.release();
  const second = await takePort(HOST, first.port, folder, 0);
  expect(second.port).toBe(first.port);
  second.release();
});

test('a start waits for the one that is about to release the port', async () => {
  const first = await takePort(HOST, 0, folder);
  const second = takePort(HOST, first.port, folder);
  first.release();
  (await second).release();
});

test('a port on which something else listens is refused, and not kept', async () => {
  const stranger = Bun.serve({ hostname: HOST, port: 0, fetch: () => new Response() });
  const { port } = stranger;
  await expect(takePort(HOST, port!, folder, 0)).rejects.toThrow(`Atlas cannot listen on ${HOST}:${port}.`);
  await stranger.stop(true);
  (await takePort(HOST, port!, folder, 0)).release();
});
