import type { LoadReport, LoadStream, StreamReport } from '../load/order.ts';
import { runLoad } from '../load/run-load.ts';
import type { OverloadLoads } from '../plan.ts';
import { CLIENT_CORE } from '../support/oha.ts';
import { progress } from '../support/progress.ts';
import { count, decimal, percent } from '../support/statistics.ts';
import { ceilingOf } from './ceiling.ts';
import type { OneCore } from './setup.ts';

const ACCOUNTS = 10_000;
/** Requests in flight at most. What is due beyond that is not sent, and reported as such. */
export const IN_FLIGHT_MAX = 4000;
const PEAK_CALLERS = [64, 256, 512] as const;
const WARM_UP_SECONDS = 1;
const FIRST_WARM_UP_SECONDS = 2;

/** The highest rate of good responses in a closed loop, and the CPU time that each response costs then. */
export interface Peak {
  readonly perSecond: number;
  readonly callers: number;
  /** Of the server and PostgreSQL together, in microseconds. */
  readonly servedMicros: number;
  readonly tried: readonly { readonly callers: number; readonly report: LoadReport }[];
}

/** One run at a multiple of the peak. */
export interface OverloadRun {
  /** Offered ÷ peak as planned, and what the client really sent ÷ peak. */
  readonly load: number;
  readonly sentLoad: number;
  readonly all: StreamReport;
  readonly streams: readonly StreamReport[];
  readonly shares: Readonly<Record<string, number>>;
  /** Goodput ÷ peak, the ceiling for what was sent, and their ratio. */
  readonly goodput: number;
  readonly ceiling: number;
  readonly ofCeiling: number;
  /** What a refusal cost in this run, if each served request cost what it costs at the peak. NaN if few were refused. */
  readonly refusedMicros: number;
}

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
  const tried: { callers: number; report: LoadReport; perSecond: number }[] = [];
  for (const callers of PEAK_CALLERS) {
    const report = await closed(callers, WARM_UP_SECONDS, plan.peakSeconds);
    const { good, refused, admitted } = report.all;
    tried.push({ callers, report, perSecond: good });
    progress(
      `${name}: peak  ${String(callers).padStart(4)} callers  ${count(good).padStart(7)}/s in time, ${count(refused)}/s refused, P99 ${decimal(admitted.p99Ms ?? Number.NaN, 0)} ms`,
    );
  }
  const best = tried.reduce((a, b) => (b.perSecond > a.perSecond ? b : a));
  const { arrived, shares } = best.report;
  const servedMicros = (serverShare(shares) * 1e6 - arrived.refused * refusedMicros) / arrived.served;
  return { perSecond: best.perSecond, callers: best.callers, servedMicros, tried };
}

async function offer(
  one: OneCore,
  { streams, plan }: Overload,
  peak: Peak,
  load: number,
  refusalCost: number,
): Promise<OverloadRun> {
  const ratePerSecond = Math.round(load * peak.perSecond);
  const report = await runLoad(one.database, {
    ...target(one),
    streams,
    callers: IN_FLIGHT_MAX,
    ratePerSecond,
    warmUpSeconds: WARM_UP_SECONDS,
    seconds: plan.seconds,
  });
  const all = report.all;
  const sentLoad = all.sent / peak.perSecond;
  const goodput = all.good / peak.perSecond;
  const ceiling = ceilingOf(sentLoad, refusalCost);
  const { served, refused } = report.arrived;
  const spentMicros = serverShare(report.shares) * 1e6;
  return {
    load,
    sentLoad,
    all,
    streams: report.streams,
    shares: report.shares,
    goodput,
    ceiling,
    ofCeiling: ceiling > 0 ? goodput / ceiling : Number.NaN,
    refusedMicros:
      refused > peak.perSecond / 10 ? (spentMicros - served * peak.servedMicros) / refused : Number.NaN,
  };
}

function target({ database, atlas }: OneCore) {
  const processes = { atlas: atlas.pid, postgres: database.pid };
  return { url: atlas.url, accounts: ACCOUNTS, processes, core: CLIENT_CORE };
}

function serverShare(shares: Readonly<Record<string, number>>): number {
  return shares.atlas! + shares.postgres!;
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
