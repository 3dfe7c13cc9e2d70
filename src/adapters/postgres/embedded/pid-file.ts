import { execFile } from 'node:child_process';
import { readFile, readlink, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** A running server that accepts connections. */
export interface RunningServer {
  readonly pid: number;
  readonly port: number;
}

/** A folder, whatever its name. */
export type FolderIdentity = { readonly dev: bigint; readonly ino: bigint };

const run = promisify(execFile);

/** Returns the server that runs on the cluster, or null if there is none or it is not ready. Changes nothing. */
export async function findRunning(cluster: string): Promise<RunningServer | null> {
  const [pid, , , port, , , , state] = await readPidFile(cluster);
  if (state?.trim() !== 'ready' || !(await isServerOf(await folderIdentity(cluster), Number(pid))))
    return null;
  return { pid: Number(pid), port: Number(port) };
}

/** Whether a server works on the cluster, ready or not. */
export async function isListed(cluster: string): Promise<boolean> {
  const [pid] = await readPidFile(cluster);
  return isServerOf(await folderIdentity(cluster), Number(pid));
}

/**
 * Removes the pid file of a dead server whose pid now belongs to another process: PostgreSQL would refuse to start. If
 * no process has the pid, the file stays: PostgreSQL uses it to detect orphans of the old server. Only the holder of
 * the cluster's lock may call this: the server of another container cannot be seen.
 */
export async function removeStalePidFile(cluster: string): Promise<void> {
  const [pid] = await readPidFile(cluster);
  if (!(Number(pid) > 0) || !isTaken(Number(pid)) || !(await canSeeProcesses())) return;
  if (!(await isServerOf(await folderIdentity(cluster), Number(pid))))
    await rm(join(cluster, 'postmaster.pid'), { force: true });
}

/**
 * Whether the process is the server of this cluster. A server works in its data folder, which is compared by identity
 * and not by name: a bind mount, a symbolic link, or a rename gives the same folder another name.
 */
export async function isServerOf(cluster: FolderIdentity | null, pid: number): Promise<boolean> {
  if (cluster === null || !(pid > 0) || !(await canSeeProcesses())) return false;
  // Rejects for a process that does not exist, and for a zombie.
  const its = await workingFolderOf(pid)
    .then(folderIdentity)
    .catch(() => null);
  return its !== null && its.dev === cluster.dev && its.ino === cluster.ino;
}

/** Returns the identity of a folder, or null if it does not exist. */
export async function folderIdentity(path: string): Promise<FolderIdentity | null> {
  return stat(path, { bigint: true }).catch(() => null);
}

async function readPidFile(cluster: string): Promise<string[]> {
  const text = await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => '');
  return text.split('\n');
}

function isTaken(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Whether `/proc` shows the processes under the numbers that this process uses, and not those of another namespace. */
async function canSeeProcesses(): Promise<boolean> {
  if (process.platform !== 'linux') return true;
  return (await readlink('/proc/self').catch(() => '')) === String(process.pid);
}

/** Returns a path to the working folder of a process. */
async function workingFolderOf(pid: number): Promise<string> {
  if (process.platform === 'linux') return `/proc/${pid}/cwd`;
  const { stdout } = await run('lsof', ['-a', '-p', String(pid), '-d', 'cwd', '-Fn']);
  return /^n(.+)$/m.exec(stdout)![1]!;
}
