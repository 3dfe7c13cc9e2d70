import { readFileSync } from 'node:fs';

// Positions in /proc/PID/stat after the name of the program (proc_pid_stat(5)): utime and stime, in clock ticks.
const USER_TIME = 11;
const SYSTEM_TIME = 12;

/**
 * Returns the processor time that a process has used, in clock ticks. Returns null if it cannot be read: the process is
 * gone, or this is not Linux.
 */
export function processorTimeOf(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name is in parentheses, and may itself contain some.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = Number(fields[USER_TIME]) + Number(fields[SYSTEM_TIME]);
    return Number.isNaN(ticks) ? null : ticks;
  } catch {
    return null;
  }
}
