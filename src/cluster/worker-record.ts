import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { WORKER_ENVIRONMENT } from './messages.ts';

/** The processes of one supervisor, as they are written down for whoever starts after it. */
export interface WorkerProcesses {
  readonly supervisor: number;
  /** What is in front of the id of every worker of this supervisor. */
  readonly idPrefix: string;
  readonly workers: readonly number[];
}

/** The file that names the processes of the supervisor of a port, beside its status socket. */
export function workerRecordPath(dataDir: string, port: number): string {
  return resolve(dataDir, `serve-${port}.workers`);
}

/**
 * Writes down the processes; without any there is no file. Only the user that runs Atlas may read it. Throws what the
 * file system throws.
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
 * Kills the workers that a dead supervisor of the port has left behind, and answers how many. A worker ends by itself
 * when its supervisor does, but not one that is stopped or hangs. Whether a process is still the one that was written
 * down is asked of the kernel, so only Linux has this.
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
    // There is none, or its supervisor was killed while it wrote.
    return null;
  }
}

function isOrphan(pid: number, { supervisor, idPrefix }: WorkerProcesses): boolean {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    const parent = /^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    // The kernel gives the children of the dead to another parent.
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
    // It has just ended.
  }
}
