import type { Tier } from '../../../src/utils/tier.ts';

/** One request with a response, as its caller saw it. */
export interface Sample {
  /** When it was due, in milliseconds since the first request of its tier, even if no connection was free. */
  readonly dueMs: number;
  /** From when it was due to the end of the response. */
  readonly durationMs: number;
  readonly status: number;
}

/** The requests of one run that got a response. */
export type SamplesByTier = Readonly<Record<Tier, readonly Sample[]>>;

/** The tiers, most important first, and their share of the offered load. */
export const TIER_MIX: Readonly<Record<Tier, number>> = {
  critical: 0.1,
  default: 0.6,
  'non-critical': 0.3,
};
export const TIERS = Object.keys(TIER_MIX) as readonly Tier[];

const HEAD = 'request-start,DNS,DNS+dialup,Response-delay,request-duration,bytes,status';

/**
 * Reads the rows that oha 1.16 writes with `--output-format csv --latency-correction`. Its duration counts from when the
 * request was due, its delay from when it was sent. Throws if the columns differ.
 */
export function readSamples(csv: string): Sample[] {
  const [head, ...rows] = csv.trimEnd().split('\n');
  if (head !== HEAD) throw new Error(`Unexpected columns from oha: ${head}`);
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

/** Whether the response was a 2xx, however late. */
export function isServed({ status }: Sample): boolean {
  return status >= 200 && status < 300;
}
