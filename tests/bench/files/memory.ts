import { readFileSync, writeFileSync } from 'node:fs';

/** The one worker of an Atlas with `API_WORKERS=1`. */
export function workerOf(supervisorPid: number): number {
  const children = readFileSync(`/proc/${supervisorPid}/task/${supervisorPid}/children`, 'utf8').trim();
  if (!/^\d+$/.test(children)) throw new Error(`One worker was expected, and there are: ${children}`);
  return Number(children);
}

/** Memory of a process that is resident now, in MiB. */
export function residentMebibytes(pid: number): number {
  return mebibytes(pid, 'VmRSS');
}

/** The most that was resident while the work ran, in MiB, as the kernel saw it (proc(5): clear_refs 5 resets VmHWM). */
export async function peakDuring<T>(
  pid: number,
  work: () => Promise<T>,
): Promise<{ result: T; peakMebibytes: number }> {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
  const result = await work();
  return { result, peakMebibytes: mebibytes(pid, 'VmHWM') };
}

function mebibytes(pid: number, field: string): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)![1]) / 1024;
}
