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
// The responses of 20 connections arrive in bursts 20 ms apart, so shorter windows are noisy: at a thousand per second,
// 50 ms hold two bursts or three. Windows overlap, so the settling time still has a resolution of 50 ms.
const MOMENT_MS = 200;
const MOMENT_EVERY_MS = 50;
/** Length of the windows of the plot, which do not overlap. */
export const SHOWN_MS = 100;
const CAPACITY_SHARE_MIN = 0.9;
const P99_FACTOR_MAX = 2;

/** The settling time of one variant, in every repetition. */
export interface StepResult {
  readonly variant: Variant;
  readonly settlingMs: number;
  readonly repetitions: readonly number[];
  /** Of the median repetition, for the plot. The step is at 0. */
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
  /** P99 of each variant at 0.8 × capacity. */
  readonly p99Ms: Readonly<Record<Variant, number>>;
}

/** Steps the load from 0.8 × to 2 × capacity, and returns how long each variant takes to settle. */
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

/** Runs one step: a second set of clients joins the first. Their clocks are aligned by the first request of each. */
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
