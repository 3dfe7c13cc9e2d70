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

test('a taken port is refused to others before anything listens on it', async () => {
  const first = await takePort(HOST, 0, folder);
  await expect(takePort(HOST, first.port, folder, 0)).rejects.toThrow(
    new RegExp(`^Atlas is already running on port ${first.port}\\.[\\s\\S]*do: +\\S`),
  );
  first.release();
  const second = await takePort(HOST, first.port, folder, 0);
  expect(second.port).toBe(first.port);
  second.release();
});

test('a start waits for the port to be released', async () => {
  const first = await takePort(HOST, 0, folder);
  const second = takePort(HOST, first.port, folder);
  first.release();
  (await second).release();
});

test('a port that is in use is refused, and its lock released', async () => {
  const other = Bun.serve({ hostname: HOST, port: 0, fetch: () => new Response() });
  const { port } = other;
  await expect(takePort(HOST, port!, folder, 0)).rejects.toThrow(`Atlas cannot listen on ${HOST}:${port}.`);
  await other.stop(true);
  (await takePort(HOST, port!, folder, 0)).release();
});
