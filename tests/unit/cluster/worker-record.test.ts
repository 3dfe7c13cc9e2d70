import { afterEach, beforeEach, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { killOrphans, workerRecordPath, writeWorkerRecord } from '../../../src/cluster/worker-record.ts';

const PORT = 8000;
// Above the highest process id of Linux.
const DEAD = 2 ** 22 + 1;

let folder: string;
let child: Bun.Subprocess;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'atlas-record-'));
  child = await spawnWorker();
});
afterEach(() => {
  child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

/** A process with the environment of a worker. Waits for its output: before its exec, `/proc` shows no environment. */
async function spawnWorker(): Promise<Bun.Subprocess> {
  const cat = Bun.spawn(['cat'], { env: { ATLAS_WORKER_ID: 'host-1-a-0-1' }, stdin: 'pipe', stdout: 'pipe' });
  cat.stdin.write('up');
  cat.stdin.flush();
  const reader = cat.stdout.getReader();
  await reader.read();
  reader.releaseLock();
  return cat;
}

test('a worker that outlives its supervisor is killed', async () => {
  writeWorkerRecord(folder, PORT, { supervisor: DEAD, idPrefix: 'host-1-a', workers: [DEAD, child.pid] });
  expect(killOrphans(folder, PORT)).toBe(1);
  await child.exited;
  expect(child.signalCode).toBe('SIGKILL');
});

test('workers of a live supervisor, other processes and workers of other ports are not killed', () => {
  const workers = [child.pid, process.pid];
  writeWorkerRecord(folder, PORT, { supervisor: process.pid, idPrefix: 'host-1-a', workers });
  expect(killOrphans(folder, PORT)).toBe(0);
  writeWorkerRecord(folder, PORT, { supervisor: DEAD, idPrefix: 'host-1', workers: [process.pid] });
  expect(killOrphans(folder, PORT)).toBe(0);
  writeWorkerRecord(folder, PORT, { supervisor: DEAD, idPrefix: 'host-1-b', workers });
  expect(killOrphans(folder, PORT)).toBe(0);
  writeWorkerRecord(folder, PORT + 1, { supervisor: DEAD, idPrefix: 'host-1-a', workers });
  expect(killOrphans(folder, PORT)).toBe(0);
  expect(child.killed).toBe(false);
});

test('nothing is killed if the record is missing or truncated', () => {
  expect(killOrphans(folder, PORT)).toBe(0);
  writeFileSync(workerRecordPath(folder, PORT), '{"supervisor":1,"wor');
  expect(killOrphans(folder, PORT)).toBe(0);
});

test('only the user that runs Atlas can read the record, and it is removed with the last worker', () => {
  const record = { supervisor: process.pid, idPrefix: 'host-1-a' };
  writeWorkerRecord(folder, PORT, { ...record, workers: [child.pid] });
  expect(statSync(workerRecordPath(folder, PORT)).mode & 0o777).toBe(0o600);
  writeWorkerRecord(folder, PORT, { ...record, workers: [] });
  expect(existsSync(workerRecordPath(folder, PORT))).toBe(false);
});
