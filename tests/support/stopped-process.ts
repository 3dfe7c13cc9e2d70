import { readdir, readFile } from 'node:fs/promises';
import { until } from './until.ts';

/**
 * Waits until a process that got a SIGSTOP has really stopped, on Linux: on a busy machine a thread of it may run for a while
 * until the one that takes the signal gets its turn.
 */
export async function untilStopped(pid: number): Promise<void> {
  await until(async () => (await statesOf(pid)).every((state) => state === 'T'));
}

/** One letter for each thread, as proc_pid_stat(5) has it. */
async function statesOf(pid: number): Promise<string[]> {
  const folder = `/proc/${pid}/task`;
  const stats = (await readdir(folder)).map((thread) => readFile(`${folder}/${thread}/stat`, 'utf8'));
  return (await Promise.all(stats)).map((stat) => stat.slice(stat.lastIndexOf(')') + 2)[0]!);
}
