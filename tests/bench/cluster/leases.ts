import { progress } from '../support/progress.ts';
import type { BenchRedis } from '../support/redis.ts';
import { alignedTable, count, decimal, percent } from '../support/statistics.ts';
import {
  CAP,
  type LeaseWorker,
  limitOfAll,
  requireAlive,
  startLeaseWorker,
  untilLeased,
  WORKERS,
} from './lease-workers.ts';

const DEMAND = 3 * CAP;
const HOLD_MS = 50;
// The demand by worker, in parts of the total. The last two loads are about Redis, not about the cap.
const PATTERNS: readonly { name: string; parts: readonly number[]; demand: number; holdMs: number }[] = [
  { name: '3 × the cap, even', parts: [1, 1, 1, 1], demand: DEMAND, holdMs: HOLD_MS },
  { name: '3 × the cap, 8:1:1:1', parts: [8, 1, 1, 1], demand: DEMAND, holdMs: HOLD_MS },
  { name: '3 × the cap, all on one worker', parts: [1, 0, 0, 0], demand: DEMAND, holdMs: HOLD_MS },
  { name: 'few requests', parts: [1, 1, 1, 1], demand: 4, holdMs: 200 },
  { name: 'many short requests', parts: [1, 1, 1, 1], demand: 100, holdMs: 2 },
];
const SETTLING_MS = 1500;
const BACK_SHARE = 0.99;
const BACK_TIMEOUT_MS = 5000;
const LOOK_EVERY_MS = 2;

/** How four workers used the cap under one pattern of demand. */
export interface DemandResult {
  readonly name: string;
  /** Over all workers. */
  readonly requestsPerSecond: number;
  /** Mean in flight over the cluster ÷ cap. Null for patterns with less demand than the cap. */
  readonly use: number | null;
  /** Maximum of the sum over the workers of their peaks in the same 10 ms. */
  readonly inFlightMax: number;
  /** As counted by Redis; a script counts as one. */
  readonly commandsPerSecondAndWorker: number;
  readonly commandsPerRequest: number;
}

/** What sharing the cap through Redis gives and costs. */
export interface LeasesResult {
  readonly demands: readonly DemandResult[];
  /** Milliseconds from the SIGKILL of a worker until the others may use the whole cap. */
  readonly backMs: readonly number[];
}

/** Runs real worker processes over a real Redis under each pattern, then kills some. */
export async function measureLeases(
  { demandSeconds, deaths }: { readonly demandSeconds: number; readonly deaths: number },
  redis: BenchRedis,
): Promise<LeasesResult> {
  const demands: DemandResult[] = [];
  for (const [i, pattern] of PATTERNS.entries()) {
    const result = await measureDemand(redis, `bench-demand-${i}`, pattern, demandSeconds);
    demands.push(result);
    const use = result.use === null ? '' : `use of the cap ${percent(result.use)}, `;
    progress(
      `permits: ${pattern.name.padEnd(32)} ${use}${decimal(result.commandsPerSecondAndWorker, 1)} commands/s per worker`,
    );
  }
  return { demands, backMs: await measureDeaths(redis, deaths) };
}

async function measureDemand(
  redis: BenchRedis,
  prefix: string,
  { name, parts, demand, holdMs }: (typeof PATTERNS)[number],
  seconds: number,
): Promise<DemandResult> {
  const whole = parts.reduce((sum, part) => sum + part, 0);
  const workers = parts.map((part) =>
    startLeaseWorker(redis, prefix, { demand: (demand * part) / whole, holdMs }),
  );
  await untilLeased(workers);
  await Bun.sleep(SETTLING_MS);
  const [before, fromMs] = [await redis.permitCommands(), performance.timeOrigin + performance.now()];
  await Bun.sleep(seconds * 1000);
  const [after, untilMs] = [await redis.permitCommands(), performance.timeOrigin + performance.now()];
  requireAlive(workers);
  for (const worker of workers) await worker.kill();
  const lengthSeconds = (untilMs - fromMs) / 1000;
  const during = workers.map(({ lines }) =>
    lines.filter(({ atMs }) => atMs > fromMs && atMs <= untilMs + 10),
  );
  const arrived = during.reduce((sum, lines) => sum + lines.at(-1)!.arrived - lines[0]!.arrived, 0);
  const inFlight = during.reduce(
    (sum, lines) => sum + lines.reduce((all, line) => all + line.inFlight, 0) / lines.length,
    0,
  );
  return {
    name,
    requestsPerSecond: arrived / lengthSeconds,
    use: demand >= CAP ? inFlight / CAP : null,
    inFlightMax: peakOfSums(during.flat()),
    commandsPerSecondAndWorker: (after - before) / lengthSeconds / WORKERS,
    commandsPerRequest: (after - before) / arrived,
  };
}

/** Returns the maximum of the sum over the workers of their peaks in the same 10 ms. */
function peakOfSums(lines: readonly { atMs: number; inFlightMax: number }[]): number {
  const sums = new Map<number, number>();
  for (const { atMs, inFlightMax } of lines) {
    const moment = Math.floor(atMs / 10);
    sums.set(moment, (sums.get(moment) ?? 0) + inFlightMax);
  }
  return Math.max(...sums.values());
}

/** Kills one of four workers that all demand more than their share, and replaces it, repeatedly. */
async function measureDeaths(redis: BenchRedis, deaths: number): Promise<number[]> {
  const prefix = 'bench-deaths';
  const startWorker = () => startLeaseWorker(redis, prefix, { demand: DEMAND / WORKERS, holdMs: HOLD_MS });
  let workers: LeaseWorker[] = Array.from({ length: WORKERS }, startWorker);
  const backMs: number[] = [];
  for (let i = 0; i < deaths; i++) {
    await untilLeased(workers);
    await Bun.sleep(SETTLING_MS);
    const [victim, ...others] = workers as [LeaseWorker, ...LeaseWorker[]];
    const killedMs = performance.now();
    await victim.kill();
    while (limitOfAll(others) < BACK_SHARE * CAP) {
      if (performance.now() - killedMs > BACK_TIMEOUT_MS) break;
      await Bun.sleep(LOOK_EVERY_MS);
    }
    backMs.push(performance.now() - killedMs);
    progress(`permits: kill -9 ${i + 1}/${deaths}  reclaimed after ${count(backMs.at(-1)!)} ms`);
    workers = [...others, startWorker()];
  }
  for (const worker of workers) await worker.kill();
  return backMs;
}

/** Formats the result as a table. */
export function leasesTable({ demands, backMs }: LeasesResult): string {
  const rows = demands.map((result) => [
    result.name,
    count(result.requestsPerSecond),
    result.use === null ? '–' : decimal(result.use, 3),
    count(result.inFlightMax),
    decimal(result.commandsPerSecondAndWorker, 1),
    result.commandsPerRequest.toPrecision(2),
  ]);
  const head = [`${WORKERS} workers, cap ${CAP}`, 'requests/s', 'use of the cap', 'max in flight'];
  const table = alignedTable([...head, 'commands/s per worker', 'commands per request'], rows);
  if (backMs.length === 0) return table;
  return `${table}\n\nPermits of a worker killed with SIGKILL were reclaimed after ${backMs.map(count).join(', ')} ms.`;
}
