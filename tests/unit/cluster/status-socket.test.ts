import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  findStatus,
  requireStatus,
  serveStatus,
  statusSocketPath,
} from '../../../src/cluster/status-socket.ts';
import { clusterStatus } from '../../support/cluster-status.ts';

const STATUS = clusterStatus([]);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atlas-status-'));
});
afterAll(() => rm(folder, { recursive: true }));

test('a supervisor is found by its port, or as the only one on its folder', async () => {
  const socket = serveStatus(statusSocketPath(folder, 8000), folder, () => STATUS);
  expect(await requireStatus(folder, 8000)).toEqual(STATUS);
  expect(await requireStatus(folder, 0)).toEqual(STATUS);
  await socket.close();
});

test('only the user that runs Atlas may connect', async () => {
  const path = statusSocketPath(folder, 8001);
  const socket = serveStatus(path, folder, () => STATUS);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  await socket.close();
});

test('the error says that nothing runs and what to do', async () => {
  await expect(requireStatus(folder, 8002)).rejects.toThrow(
    /Atlas is not running on port 8002\.[\s\S]*do: +start it/,
  );
  await expect(requireStatus(join(folder, 'nowhere'), 0)).rejects.toThrow(/Atlas is not running\./);
  await expect(requireStatus(folder, 8002)).rejects.not.toThrow(/ENOENT|typo/);
  expect(await findStatus(folder, 8002)).toBeNull();
});

test('the error lists an Atlas on another port and how to check it, but no dead one', async () => {
  const other = { ...STATUS, port: 8011 };
  await Bun.write(statusSocketPath(folder, 8012), 'leftover');
  const socket = serveStatus(statusSocketPath(folder, 8011), folder, () => other);
  const error = await requireStatus(folder, 8010).then(String, (error: Error) => error.message);
  expect(error).toMatch(/why: .* serves port 8011\n/);
  expect(error).toMatch(/do: .*API_PORT=8011 npm run status/);
  expect(error).not.toContain('8012');
  // Nor does it make port 0 ambiguous.
  expect(await requireStatus(folder, 0)).toEqual(other);
  await socket.close();
});

test('port 0 is ambiguous if several run, and the error lists their ports', async () => {
  const ports = [8021, 8022];
  const sockets = ports.map((port) =>
    serveStatus(statusSocketPath(folder, port), folder, () => ({ ...STATUS, port })),
  );
  await expect(findStatus(folder, 0)).rejects.toThrow(/on ports 802\d and 802\d\n/);
  for (const socket of sockets) await socket.close();
});

test('the next supervisor replaces the socket of a killed one', async () => {
  const path = statusSocketPath(folder, 8003);
  await Bun.write(path, 'leftover');
  const socket = serveStatus(path, folder, () => STATUS);
  expect(await requireStatus(folder, 8003)).toEqual(STATUS);
  await socket.close();
  await expect(requireStatus(folder, 8003)).rejects.toThrow('Atlas is not running');
});

test('a path that is too long for a socket is refused with a remedy', () => {
  expect(() => statusSocketPath(`/${'x'.repeat(200)}`, 8000)).toThrow(/do: +set ATLAS_DATA_DIR/);
});
