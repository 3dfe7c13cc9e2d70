import type { BenchDatabase } from '../support/database.ts';
import type { Server } from '../support/processes.ts';
import { progress } from '../support/progress.ts';
import { count, median } from '../support/statistics.ts';
import { pathOf, startOpenLoop } from './open-loop.ts';
import { type Sample, type SamplesByTier, TIERS } from './samples.ts';
import { type Calm, type Moment, moments, settlingMs } from './settling.ts';
import { OBJECTIVE_MS } from './summary.ts';
import { statsOf, untilIdle, VARIANTS, type Variant, variants } from './variants.ts';

const LOAD_BEFORE = 0.8;
const LOAD_AFTER = 2;
const BEFORE_MS = 1500;
const SHOWN_FROM_MS = 1000;
const START_MS = 500;
// The answers of 20 connections come in volleys 20 ms apart, so shorter moments see noise: at a thousand a second
// one of 50 ms holds two volleys or three. Moments overlap, so the time to settle is still known to 50 ms.
const MOMENT_MS = 200;
const MOMENT_EVERY_MS = 50;
/** Length of the moments of the plot, which do not overlap. */
export const SHOWN_MS = 100;
const CAPACITY_SHARE_MIN = 0.9;
const P99_FACTOR_MAX = 2;

/** How one variant took the step, in every repetition. */
export interface StepResult {
  readonly variant: Variant;
  readonly settlingMs: number;
  readonly repetitions: readonly number[];
  /** Of the repetition in the middle, for the plot; 0 is the step. */
  readonly moments: readonly Moment[];
  readonly calm: Calm;
}

export interface StepOptions {
  readonly oha: string;
  readonly database: BenchDatabase;
  readonly servers: Readonly<Record<Variant, Server>>;
  readonly capacityPerSecond: number;
  readonly seconds: number;
  readonly repetitions: number;
  /** P99 of each variant at 0.8 of the capacity. */
  readonly p99Ms: Readonly<Record<Variant, number>>;
}

/** Steps the load from 0.8 to twice the capacity and tells how long each variant takes to settle. */
export async function measureSteps(options: StepOptions): Promise<StepResult[]> {
  const results: StepResult[] = [];
  for (const variant of variants) {
    const calm = {
      p99MsMax: P99_FACTOR_MAX * options.p99Ms[variant],
      goodputMin: CAPACITY_SHARE_MIN * options.capacityPerSecond,
    };
    const repetitions = variant === 'atlas' ? options.repetitions : 1;
    const seen: { settlingMs: number; moments: Moment[] }[] = [];
    for (let i = 0; i < repetitions; i++) {
      const samples = await step(options, options.servers[variant]);
      const untilMs = options.seconds * 1000 - START_MS - OBJECTIVE_MS;
      const after = { fromMs: 0, untilMs, stepMs: MOMENT_EVERY_MS, lengthMs: MOMENT_MS };
      const settled = settlingMs(moments(samples, after), calm);
      const shown = { fromMs: -SHOWN_FROM_MS, untilMs, stepMs: SHOWN_MS, lengthMs: SHOWN_MS };
      seen.push({ settlingMs: settled, moments: moments(samples, shown) });
      progress(
        `step: ${i + 1}/${repetitions}  ${VARIANTS[variant].padEnd(20)} ${settled === Infinity ? 'never settled' : `settled after ${count(settled)} ms`}`,
      );
    }
    seen.sort((a, b) => a.settlingMs - b.settlingMs);
    const settled = seen.map((run) => run.settlingMs);
    const shown = seen[seen.length >> 1]!.moments;
    results.push({ variant, settlingMs: median(settled), repetitions: settled, moments: shown, calm });
  }
  return results;
}

/** One step: a second set of clients joins the first. Both are put on one clock by what the server saw first of each. */
async function step(options: StepOptions, server: Server): Promise<Sample[]> {
  const { oha, database, capacityPerSecond, seconds } = options;
  await untilIdle(server, database);
  await statsOf(server, true);
  const beforeSeconds = (START_MS + BEFORE_MS) / 1000;
  const base = { oha, server, ratePerSecond: LOAD_BEFORE * capacityPerSecond };
  const first = startOpenLoop({ ...base, seconds: beforeSeconds + seconds, set: 'base' });
  await Bun.sleep(START_MS + BEFORE_MS);
  const more = { ...base, ratePerSecond: (LOAD_AFTER - LOAD_BEFORE) * capacityPerSecond };
  const second = startOpenLoop({ ...more, seconds, set: 'step' });
  const [before, after] = await Promise.all([first.samples, second.samples]);
  const { firstMs } = await statsOf(server);
  const startedMs = (set: string) =>
    TIERS.map((tier) => firstMs[server.url + pathOf(tier, set)] ?? Number.NaN);
  const stepMs = Math.min(...startedMs('step'));
  return [...onOneClock(before, startedMs('base'), stepMs), ...onOneClock(after, startedMs('step'), stepMs)];
}

function onOneClock(samples: SamplesByTier, startedMs: readonly number[], zeroMs: number): Sample[] {
  return TIERS.flatMap((tier, i) =>
    samples[tier].map((sample) => ({ ...sample, dueMs: sample.dueMs + startedMs[i]! - zeroMs })),
  );
}
