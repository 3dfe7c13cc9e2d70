import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { WORKER_ENVIRONMENT } from './messages.ts';

/** The processes of one supervisor, as recorded for the next start. */
export interface WorkerProcesses {
  readonly supervisor: number;
  /** Prefix of every worker id of this supervisor. */
  readonly idPrefix: string;
  readonly workers: readonly number[];
}

/** Returns the path of the record for a port, next to the status socket. */
export function workerRecordPath(dataDir: string, port: number): string {
  return resolve(dataDir, `serve-${port}.workers`);
}

/**
 * Writes the record, or removes it if there are no workers. Only the user that runs Atlas may read it. Throws errors of
 * the file system.
 */
export function writeWorkerRecord(dataDir: string, port: number, processes: WorkerProcesses): void {
  const path = workerRecordPath(dataDir, port);
  if (processes.workers.length === 0) {
    rmSync(path, { force: true });
    return;
  }
  mkdirSync(dataDir, { recursive: true });
  writeFileSync(path, JSON.stringify(processes), { mode: 0o600 });
}

/**
 * Kills the workers that a dead supervisor of the port left behind, and returns how many. Workers exit when their
 * supervisor does, unless they are stopped or hang. Linux only: `/proc` shows whether a process is still the recorded
 * one.
 */
export function killOrphans(dataDir: string, port: number): number {
  const record = readWorkerRecord(workerRecordPath(dataDir, port));
  const orphans = record?.workers.filter((pid) => isOrphan(pid, record)) ?? [];
  for (const pid of orphans) kill(pid);
  return orphans.length;
}

function readWorkerRecord(path: string): WorkerProcesses | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as WorkerProcesses;
  } catch {
    // Missing, or the supervisor was killed while writing it.
    return null;
  }
}

function isOrphan(pid: number, { supervisor, idPrefix }: WorkerProcesses): boolean {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    const parent = /^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    // The kernel assigns orphans to another parent.
    return (
      environment.some((entry) => entry.startsWith(`${WORKER_ENVIRONMENT.id}=${idPrefix}-`)) &&
      Number(parent) !== supervisor
    );
  } catch {
    return false;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has just exited.
  }
}
