import { readFileSync, writeFileSync } from 'node:fs';

/** Returns the process id of the worker of an Atlas with `API_WORKERS=1`. */
export function workerOf(supervisorPid: number): number {
  const children = readFileSync(`/proc/${supervisorPid}/task/${supervisorPid}/children`, 'utf8').trim();
  if (!/^\d+$/.test(children)) throw new Error(`Expected one worker, found: ${children}`);
  return Number(children);
}

/** Returns the resident memory of a process, in MiB. */
export function residentMebibytes(pid: number): number {
  return mebibytes(pid, 'VmRSS');
}

/** Returns the peak resident memory during the work, in MiB (proc(5): writing 5 to clear_refs resets VmHWM). */
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
