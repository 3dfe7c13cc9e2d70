import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  askStatus,
  type ClusterStatus,
  serveStatus,
  statusSocketPath,
} from '../../../src/cluster/status-socket.ts';

const STATUS: ClusterStatus = { pid: 1, port: 8000, uptimeSeconds: 2, cap: 3, slots: [] };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atlas-status-'));
});
afterAll(() => rm(folder, { recursive: true }));

test('a supervisor is found by its port, or as the only one of its folder', async () => {
  const socket = serveStatus(statusSocketPath(folder, 8000), folder, () => STATUS);
  expect(await askStatus(folder, 8000)).toEqual(STATUS);
  expect(await askStatus(folder, 0)).toEqual(STATUS);
  await socket.close();
});

test('nobody but the user that runs Atlas may ask', async () => {
  const path = statusSocketPath(folder, 8001);
  const socket = serveStatus(path, folder, () => STATUS);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  await socket.close();
});

test('where nothing runs, the error says so and what to do, and the folder of another one is not asked', async () => {
  expect(askStatus(folder, 8002)).rejects.toThrow(/No Atlas runs here for port 8002\.[\s\S]*do: +start it/);
  expect(askStatus(join(folder, 'nowhere'), 0)).rejects.toThrow(/none runs on/);
});

test('the socket of a killed supervisor is replaced by that of the next one', async () => {
  const path = statusSocketPath(folder, 8003);
  await Bun.write(path, 'left behind');
  const socket = serveStatus(path, folder, () => STATUS);
  expect(await askStatus(folder, 8003)).toEqual(STATUS);
  await socket.close();
  expect(askStatus(folder, 8003)).rejects.toThrow('No Atlas runs here');
});

test('a path that is too long for a socket is refused with what to change', () => {
  expect(() => statusSocketPath(`/${'x'.repeat(200)}`, 8000)).toThrow(/do: +set ATLAS_DATA_DIR/);
});
