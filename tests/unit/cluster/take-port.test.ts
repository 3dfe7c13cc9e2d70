import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
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

test('a port is refused to another address of the host while it is taken with the same data folder', async () => {
  const first = await takePort(HOST, 0, folder);
  await expect(takePort('127.0.0.2', first.port, folder, 0)).rejects.toThrow(
    new RegExp(
      `^Atlas is already running on port ${first.port}\\.\\n.*same data folder[\\s\\S]*do: +set ATLAS_DATA_DIR`,
    ),
  );
  const other = mkdtempSync(join(tmpdir(), 'atlas-port-'));
  (await takePort('127.0.0.2', first.port, other, 0)).release();
  rmSync(other, { recursive: true });
  first.release();
  (await takePort('127.0.0.2', first.port, folder, 0)).release();
  expect(readdirSync(folder)).toEqual([]);
});

test('a lock file that a killed supervisor left does not keep the port', async () => {
  const { port, release } = await takePort(HOST, 0, folder);
  release();
  writeFileSync(join(folder, `serve-${port}.lock`), '');
  (await takePort(HOST, port, folder, 0)).release();
});

test('a data folder that is a file is reported with why and what to do', async () => {
  const file = join(folder, 'file');
  writeFileSync(file, '');
  await expect(takePort(HOST, 0, file)).rejects.toThrow(
    /^The data folder .* cannot be used\.\n {2}why: .*\n {2}do: /,
  );
  rmSync(file);
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
