import { readdirSync, readFileSync } from 'node:fs';

// The kernel counts CPU time in ticks of 1/100 s for programs, whatever its own clock does (proc(5), USER_HZ).
const TICKS_PER_SECOND = 100;

/** Returns 0 s for a process that has exited: callers compare two readings of a running process. */
function statOf(pid: number | string): { parent: number; cpuSeconds: number } {
  try {
    // The name is in parentheses and may contain any character, so fields are counted from the last parenthesis.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return {
      parent: Number(fields[1]),
      cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    };
  } catch {
    return { parent: -1, cpuSeconds: 0 };
  }
}

/** Returns the CPU time of a process since its start: all threads, user and system. */
export function cpuSeconds(pid: number): number {
  return statOf(pid).cpuSeconds;
}

/** The same for a process and its children: PostgreSQL has one per connection, Atlas one per worker. */
export function familyCpuSeconds(pid: number): number {
  return familyOf(pid).reduce((sum, member) => sum + cpuSeconds(member), 0);
}

function familyOf(pid: number): number[] {
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return [pid, ...processes.map(Number).filter((other) => other !== pid && statOf(other).parent === pid)];
}

/** Pins a process, all its threads, and its children to a core. Later children inherit it. */
export function pinFamily(pid: number, core: number): void {
  for (const member of familyOf(pid)) {
    const { exitCode, stderr } = Bun.spawnSync(['taskset', '-a', '-c', '-p', String(core), String(member)]);
    if (exitCode !== 0) throw new Error(`A process could not be pinned to core ${core}: ${stderr}`);
  }
}

/** Returns the resident memory of the largest of a process and its children, in MiB: that of one worker. */
export function residentMebibytes(pid: number): number {
  const resident = familyOf(pid).map((member) => memoryKibibytes(member, 'status', /^VmRSS:\s+(\d+)/m));
  return Math.max(...resident) / 1024;
}

/** Returns the memory of a process and its children, in MiB. Shared pages count once (proc(5), Pss). */
export function familyMebibytes(pid: number): number {
  const shares = familyOf(pid).map((member) => memoryKibibytes(member, 'smaps_rollup', /^Pss:\s+(\d+)/m));
  return shares.reduce((sum, share) => sum + share, 0) / 1024;
}

function memoryKibibytes(pid: number, file: string, pattern: RegExp): number {
  try {
    return Number(pattern.exec(readFileSync(`/proc/${pid}/${file}`, 'utf8'))?.[1] ?? 0);
  } catch {
    // It has exited since it was listed.
    return 0;
  }
}

const EDGE_MS = 300;

/**
 * Returns the cores that each reading used in the middle of a run. The first and last moments are excluded, when
 * connections open and close. 1 is one core, all the time.
 */
export async function shareOfCore<N extends string>(
  runMs: number,
  readings: Readonly<Record<N, () => number>>,
): Promise<Record<N, number>> {
  const names = Object.keys(readings) as N[];
  await Bun.sleep(EDGE_MS);
  const before = names.map((name) => readings[name]());
  const startMs = performance.now();
  await Bun.sleep(runMs - 2 * EDGE_MS);
  const seconds = (performance.now() - startMs) / 1000;
  const shares = names.map((name, i) => [name, (readings[name]() - before[i]!) / seconds]);
  return Object.fromEntries(shares) as Record<N, number>;
}
