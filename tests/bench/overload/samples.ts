import type { Tier } from '../../../src/utils/tier.ts';

/** One answered request as its caller saw it. */
export interface Sample {
  /** When it was due, in milliseconds since the first request of its tier, whether a connection was free or not. */
  readonly dueMs: number;
  /** From when it was due to the end of its answer. */
  readonly durationMs: number;
  readonly status: number;
}

/** The answered requests of one run. Those that had no answer at its end are not in it. */
export type SamplesByTier = Readonly<Record<Tier, readonly Sample[]>>;

/** The tiers, the most important first, and their part of the offered load. */
export const TIER_MIX: Readonly<Record<Tier, number>> = {
  critical: 0.1,
  default: 0.6,
  'non-critical': 0.3,
};
export const TIERS = Object.keys(TIER_MIX) as readonly Tier[];

const HEAD = 'request-start,DNS,DNS+dialup,Response-delay,request-duration,bytes,status';

/**
 * Reads the rows that oha 1.16 writes with `--output-format csv --latency-correction`. Its duration counts from when the
 * request was due, its delay from when it was sent. Throws when the columns are not the known ones.
 */
export function readSamples(csv: string): Sample[] {
  const [head, ...rows] = csv.trimEnd().split('\n');
  if (head !== HEAD) throw new Error(`oha wrote columns that are not known: ${head}`);
  const samples = rows.map((row): Sample => {
    const [start, , , delay, duration, , status] = row.split(',').map(Number);
    return {
      dueMs: (start! + delay! - duration!) * 1000,
      durationMs: duration! * 1000,
      status: status!,
    };
  });
  samples.sort((a, b) => a.dueMs - b.dueMs);
  const firstMs = samples[0]?.dueMs ?? 0;
  return samples.map((sample) => ({ ...sample, dueMs: sample.dueMs - firstMs }));
}

/** Served: an answer of 2xx. In time: served within the objective. */
export function isServed({ status }: Sample): boolean {
  return status >= 200 && status < 300;
}
