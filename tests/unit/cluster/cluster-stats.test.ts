import { describe, expect, test } from 'bun:test';
import { ClusterStats } from '../../../src/cluster/cluster-stats.ts';
import type { MetricSnapshot } from '../../../src/cluster/merge-metrics.ts';

function statsOf(count: number, inFlight = 0): MetricSnapshot[] {
  const metric = (name: string, type: string, value: number) => ({
    name,
    help: '',
    type,
    aggregator: 'sum',
    values: [{ labels: {}, value }],
  });
  return [metric('requests_total', 'counter', count), metric('in_flight', 'gauge', inFlight)];
}

function readValue(stats: ClusterStats, name: string): number | undefined {
  return stats.merge().find((metric) => metric.name === name)?.values[0]?.value;
}

describe('the stats of a cluster', () => {
  test('are the sums over all workers', () => {
    const stats = new ClusterStats(2);
    stats.record(0, 1, statsOf(3, 1));
    stats.record(1, 1, statsOf(4, 2));
    stats.record(0, 1, statsOf(5, 2));
    expect(readValue(stats, 'requests_total')).toBe(9);
    expect(readValue(stats, 'in_flight')).toBe(4);
  });

  test('keep the counts of a dead worker and drop its gauges', () => {
    const stats = new ClusterStats(2);
    stats.record(0, 1, statsOf(100, 7));
    stats.record(1, 1, statsOf(1, 1));
    stats.retire(0, 1);
    expect(readValue(stats, 'requests_total')).toBe(101);
    expect(readValue(stats, 'in_flight')).toBe(1);
    stats.record(0, 2, statsOf(2, 1));
    expect(readValue(stats, 'requests_total')).toBe(103);
  });

  test('count an incarnation once, even if it exits before an older one of its slot', () => {
    const stats = new ClusterStats(1);
    stats.record(0, 1, statsOf(10));
    stats.record(0, 2, statsOf(20));
    stats.retire(0, 2);
    stats.record(0, 2, statsOf(1000));
    expect(readValue(stats, 'requests_total')).toBe(30);
    stats.retire(0, 1);
    expect(readValue(stats, 'requests_total')).toBe(30);
  });

  test('never decrease by rounding, in whatever order incarnations start and exit', () => {
    let state = 7;
    const random = () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
    const stats = new ClusterStats(3);
    const counts = new Map<string, number>();
    const living: [number, number][] = [];
    let incarnations = 0;
    let before = 0;
    for (let step = 0; step < 5000; step++) {
      const at = Math.floor(random() * living.length);
      const [slot, incarnation] = living[at] ?? [0, 0];
      if (living.length < 4 || random() < 0.1) living.push([Math.floor(random() * 3), ++incarnations]);
      else if (random() < 0.3) {
        stats.retire(slot, incarnation);
        living.splice(at, 1);
      } else {
        const count = (counts.get(`${incarnation}`) ?? 0) + random() * 0.1;
        counts.set(`${incarnation}`, count);
        stats.record(slot, incarnation, statsOf(count));
      }
      const now = readValue(stats, 'requests_total') ?? 0;
      expect(now).toBeGreaterThanOrEqual(before);
      before = now;
    }
    expect(before).toBeGreaterThan(50);
  });
});
