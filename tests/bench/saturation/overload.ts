import type { LoadStream } from '../load/order.ts';
import { runLoad } from '../load/run-load.ts';
import type { OverloadLoads } from '../plan.ts';
import { CLIENT_CORE } from '../support/oha.ts';
import { progress } from '../support/progress.ts';
import { count, decimal, percent } from '../support/statistics.ts';
import { type ClosedLoop, type OverloadRun, overloadRunOf, type Peak, peakOf } from './overload-run.ts';
import type { OneCore } from './setup.ts';

const ACCOUNTS = 10_000;
/** Requests in flight at most. What is due beyond that is not sent, and reported as such. */
export const IN_FLIGHT_MAX = 4000;
const PEAK_CALLERS = [64, 256, 512] as const;
const WARM_UP_SECONDS = 1;
const FIRST_WARM_UP_SECONDS = 2;

/** What to offer, and to what. */
export interface Overload {
  readonly name: string;
  readonly streams: readonly LoadStream[];
  readonly plan: OverloadLoads;
  /** CPU time of a refusal, in microseconds. */
  readonly refusedMicros: number;
}

/** The overload of one kind of request. */
export interface OverloadResult {
  readonly name: string;
  readonly peak: Peak;
  readonly refusedMicros: number;
  /** The cost of a refusal ÷ the cost of a served request. */
  readonly refusalCost: number;
  readonly runs: readonly OverloadRun[];
}

/** Measures the peak in a closed loop, then offers multiples of it in an open loop. */
export async function measureOverload(one: OneCore, overload: Overload): Promise<OverloadResult> {
  const { name, plan, refusedMicros } = overload;
  const peak = await measurePeak(one, overload);
  const refusalCost = refusedMicros / peak.servedMicros;
  const runs: OverloadRun[] = [];
  for (let round = 0; round < plan.rounds; round++) {
    for (const load of plan.loads) {
      const run = await offer(one, overload, peak, load, refusalCost);
      runs.push(run);
      progress(`${name}: round ${round + 1}/${plan.rounds}  ${`${load} ×`.padStart(5)}  ${describeRun(run)}`);
    }
  }
  return { name, peak, refusedMicros, refusalCost, runs };
}

async function measurePeak(one: OneCore, { name, streams, plan, refusedMicros }: Overload): Promise<Peak> {
  const closed = (callers: number, warmUpSeconds: number, seconds: number) =>
    runLoad(one.database, { ...target(one), streams, callers, ratePerSecond: null, warmUpSeconds, seconds });
  progress(`${name}: warming up`);
  await closed(PEAK_CALLERS[0], FIRST_WARM_UP_SECONDS, 1);
  const tried: ClosedLoop[] = [];
  for (const callers of PEAK_CALLERS) {
    const report = await closed(callers, WARM_UP_SECONDS, plan.peakSeconds);
    const { good, refused, admitted } = report.all;
    tried.push({ callers, report });
    progress(
      `${name}: peak  ${String(callers).padStart(4)} callers  ${count(good).padStart(7)}/s in time, ${count(refused)}/s refused, P99 ${decimal(admitted.p99Ms ?? Number.NaN, 0)} ms`,
    );
  }
  return peakOf(tried, refusedMicros);
}

async function offer(
  one: OneCore,
  { streams, plan }: Overload,
  peak: Peak,
  load: number,
  refusalCost: number,
): Promise<OverloadRun> {
  const report = await runLoad(one.database, {
    ...target(one),
    streams,
    callers: IN_FLIGHT_MAX,
    ratePerSecond: Math.round(load * peak.perSecond),
    warmUpSeconds: WARM_UP_SECONDS,
    seconds: plan.seconds,
  });
  return overloadRunOf(load, report, peak, refusalCost);
}

function target({ database, atlas }: OneCore) {
  const processes = { atlas: atlas.pid, postgres: database.pid };
  return { url: atlas.url, accounts: ACCOUNTS, processes, core: CLIENT_CORE };
}

function describeRun({ all, goodput, ofCeiling, shares }: OverloadRun): string {
  const { sent, good, late, refused, admitted } = all;
  return [
    `sent ${count(sent).padStart(6)}/s`,
    `in time ${count(good).padStart(6)}/s`,
    `late ${count(late).padStart(5)}/s`,
    `429 ${count(refused).padStart(6)}/s`,
    `P99 ${decimal(admitted.p99Ms ?? Number.NaN, 0).padStart(4)} ms`,
    `÷ peak ${decimal(goodput)}, ÷ ceiling ${decimal(ofCeiling)}`,
    `client core ${percent(shares.client!)}`,
  ].join('  ');
}
