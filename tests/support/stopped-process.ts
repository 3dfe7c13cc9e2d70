import { readdir, readFile } from 'node:fs/promises';
import { until } from './until.ts';

/**
 * Waits until a process has stopped after a SIGSTOP (Linux). On a busy machine, its threads may run for a while until the
 * one that handles the signal is scheduled.
 */
export async function untilStopped(pid: number): Promise<void> {
  await until(async () => (await statesOf(pid)).every((state) => state === 'T'));
}

/** Returns the state of each thread, a letter (proc_pid_stat(5)). */
async function statesOf(pid: number): Promise<string[]> {
  const folder = `/proc/${pid}/task`;
  const stats = (await readdir(folder)).map((thread) => readFile(`${folder}/${thread}/stat`, 'utf8'));
  return (await Promise.all(stats)).map((stat) => stat.slice(stat.lastIndexOf(')') + 2)[0]!);
}
