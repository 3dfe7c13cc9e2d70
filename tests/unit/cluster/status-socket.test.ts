import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { askStatus, findStatus, serveStatus, statusSocketPath } from '../../../src/cluster/status-socket.ts';
import { clusterStatus } from '../../support/cluster-status.ts';

const STATUS = clusterStatus([]);

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
  await expect(askStatus(folder, 8002)).rejects.toThrow(
    /No Atlas runs here for port 8002\.[\s\S]*do: +start one/,
  );
  await expect(askStatus(join(folder, 'nowhere'), 0)).rejects.toThrow(/No Atlas runs here\./);
  await expect(askStatus(folder, 8002)).rejects.not.toThrow(/ENOENT|typo/);
  expect(await findStatus(folder, 8002)).toBeNull();
});

test('where the folder has one on another port, the error names it and how to ask it, and what is dead is not named', async () => {
  const other = { ...STATUS, port: 8011 };
  await Bun.write(statusSocketPath(folder, 8012), 'left behind');
  const socket = serveStatus(statusSocketPath(folder, 8011), folder, () => other);
  const refusal = await askStatus(folder, 8010).then(String, (error: Error) => error.message);
  expect(refusal).toMatch(/why: .* serves on port 8011\n/);
  expect(refusal).toMatch(/do: .*API_PORT=8011 npm run status/);
  expect(refusal).not.toContain('8012');
  // Nor does it stand in the way of the one that is meant.
  expect(await askStatus(folder, 0)).toEqual(other);
  await socket.close();
});

test('where several run, port 0 means none of them, and the error names their ports', async () => {
  const ports = [8021, 8022];
  const sockets = ports.map((port) =>
    serveStatus(statusSocketPath(folder, port), folder, () => ({ ...STATUS, port })),
  );
  await expect(findStatus(folder, 0)).rejects.toThrow(/on the ports 802\d and 802\d\n/);
  for (const socket of sockets) await socket.close();
});

test('the socket of a killed supervisor is replaced by that of the next one', async () => {
  const path = statusSocketPath(folder, 8003);
  await Bun.write(path, 'left behind');
  const socket = serveStatus(path, folder, () => STATUS);
  expect(await askStatus(folder, 8003)).toEqual(STATUS);
  await socket.close();
  await expect(askStatus(folder, 8003)).rejects.toThrow('No Atlas runs here');
});

test('a path that is too long for a socket is refused with what to change', () => {
  expect(() => statusSocketPath(`/${'x'.repeat(200)}`, 8000)).toThrow(/do: +set ATLAS_DATA_DIR/);
});
