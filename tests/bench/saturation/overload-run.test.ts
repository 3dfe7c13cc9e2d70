import { describe, expect, test } from 'bun:test';
import type { LoadReport, StreamReport } from '../load/order.ts';
import { ceilingOf, overloadRunOf, peakOf } from './overload-run.ts';

describe('the ceiling of goodput under overload', () => {
  test('is everything that is offered, up to the peak', () => {
    expect(ceilingOf(0.5, 0.08)).toBe(0.5);
    expect(ceilingOf(1, 0.08)).toBe(1);
  });

  test('leaves the processor what refusals do not use', () => {
    const [offered, cost] = [3, 0.08];
    const served = ceilingOf(offered, cost);
    expect(served + (offered - served) * cost).toBeCloseTo(1, 10);
    expect(served).toBeCloseTo((1 - offered * cost) / (1 - cost), 10);
  });

  test('stays at the peak if refusals are free, and is never negative', () => {
    expect(ceilingOf(10, 0)).toBe(1);
    expect(ceilingOf(20, 0.1)).toBe(0);
  });
});

const NONE = { p50Ms: null, p95Ms: null, p99Ms: null };
const EMPTY: StreamReport = {
  ...{ name: 'all', due: 0, sent: 0, good: 0, late: 0, refused: 0, others: 0, seconds: [] },
  admitted: NONE,
  refusedLatency: NONE,
};

interface Seen {
  readonly sent?: number;
  readonly good: number;
  readonly late?: number;
  readonly refused?: number;
  readonly used?: number;
}

/** A run in which the server used 60 % of what was used, and PostgreSQL the rest. */
function reportOf({ good, sent = good, late = 0, refused = 0, used = 1 }: Seen): LoadReport {
  const all = { ...EMPTY, due: sent, sent, good, late, refused };
  const shares = { atlas: used * 0.6, postgres: used * 0.4, client: 0.2 };
  return {
    ...{ streams: [all], all, created: good + late, unknown: 0, statuses: {}, shares },
    arrived: { served: good + late, refused },
  };
}

describe('the peak', () => {
  test('is the closed loop with the highest goodput, not with the most callers', () => {
    const tried = [4000, 7000, 6500].map((good, i) => ({
      callers: 64 * (i + 1),
      report: reportOf({ good }),
    }));
    const peak = peakOf(tried, 10);
    expect([peak.perSecond, peak.callers]).toEqual([7000, 128]);
    expect(peak.servedMicros).toBeCloseTo(1e6 / 7000, 6);
  });

  test('does not count the cost of its refusals as that of what it served', () => {
    const peak = peakOf([{ callers: 512, report: reportOf({ good: 5000, refused: 10_000 }) }], 10);
    expect(peak.servedMicros).toBeCloseTo((1e6 - 100_000) / 5000, 6);
  });
});

describe('a run under overload', () => {
  const peak = peakOf([{ callers: 512, report: reportOf({ good: 5000 }) }], 16);
  const cost = 16 / peak.servedMicros;

  test('is compared with the ceiling for what was sent, not for what was due', () => {
    const report = reportOf({ sent: 15_000, good: 3000, late: 500, refused: 11_500 });
    const run = overloadRunOf(10, { ...report, all: { ...report.all, due: 50_000 } }, peak, cost);
    expect(run.sentLoad).toBe(3);
    expect(run.goodput).toBeCloseTo(0.6, 10);
    expect(run.ceiling).toBeCloseTo((1 - 3 * cost) / (1 - cost), 10);
    expect(run.ofCeiling).toBeCloseTo(0.6 / run.ceiling, 10);
  });

  test('that reaches its ceiling explains the processor: what it served and what it refused', () => {
    const served = ceilingOf(3, cost) * 5000;
    const run = overloadRunOf(
      3,
      reportOf({ sent: 15_000, good: served, refused: 15_000 - served }),
      peak,
      cost,
    );
    expect(run.ofCeiling).toBeCloseTo(1, 10);
    expect(run.refusedMicros).toBeCloseTo(16, 6);
  });

  test('leaves the cost of a refusal open if there were few', () => {
    expect(
      overloadRunOf(1, reportOf({ sent: 5000, good: 4900, refused: 100 }), peak, cost).refusedMicros,
    ).toBeNaN();
  });
});
