import { execFile } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isResponsive } from './is-responsive.ts';

/** A running server that accepts connections. */
export interface RunningServer {
  readonly pid: number;
  readonly port: number;
}

const DYING_MS_MAX = 10_000;
const run = promisify(execFile);

/** Returns the server that runs on the cluster, or null if there is none or it is not ready. Changes nothing. */
export async function findRunning(cluster: string): Promise<RunningServer | null> {
  const [pid, , , port, , , , state] = await readPidFile(cluster);
  if (state?.trim() !== 'ready' || !(await isServerOf(cluster, Number(pid)))) return null;
  return { pid: Number(pid), port: Number(port) };
}

/**
 * Like {@link findRunning}, for a server that responds: one that was just killed is still listed for a moment. Waits
 * for its end, up to 10 s.
 */
export async function findResponsive(cluster: string): Promise<RunningServer | null> {
  const untilMs = performance.now() + DYING_MS_MAX;
  for (;;) {
    const running = await findRunning(cluster);
    if (running === null || performance.now() > untilMs || (await isResponsive(running.port))) return running;
    await Bun.sleep(10);
  }
}

/**
 * Removes the pid file of a dead server whose pid now belongs to another process: PostgreSQL would refuse to start. If
 * no process has the pid, the file stays: PostgreSQL uses it to detect orphans of the old server.
 */
export async function removeStalePidFile(cluster: string): Promise<void> {
  const [pid] = await readPidFile(cluster);
  if (Number(pid) > 0 && isTaken(Number(pid)) && !(await isServerOf(cluster, Number(pid))))
    await rm(join(cluster, 'postmaster.pid'), { force: true });
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

async function isServerOf(cluster: string, pid: number): Promise<boolean> {
  return (await commandLineOf(pid)).includes(` -D ${cluster} `);
}

/** Returns the command line of a process, empty if it does not exist or is a zombie. Not every Linux has `ps`. */
async function commandLineOf(pid: number): Promise<string> {
  if (process.platform === 'linux') {
    const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    return text.replaceAll('\0', ' ');
  }
  const { stdout } = await run('ps', ['-ww', '-o', 'args=', '-p', String(pid)]).catch(() => ({ stdout: '' }));
  return stdout;
}
