import { describe, expect, test } from 'bun:test';
import { ClusterFigures } from '../../../src/cluster/cluster-stats.ts';
import type { MetricSnapshot } from '../../../src/cluster/merge-metrics.ts';

function figuresOf(count: number, inFlight = 0): MetricSnapshot[] {
  const metric = (name: string, type: string, value: number) => ({
    name,
    help: '',
    type,
    aggregator: 'sum',
    values: [{ labels: {}, value }],
  });
  return [metric('requests_total', 'counter', count), metric('in_flight', 'gauge', inFlight)];
}

function readValue(figures: ClusterFigures, name: string): number | undefined {
  return figures.merged().find((metric) => metric.name === name)?.values[0]?.value;
}

describe('the figures of the cluster', () => {
  test('are those of all workers together', () => {
    const figures = new ClusterFigures(2);
    figures.record(0, 1, figuresOf(3, 1));
    figures.record(1, 1, figuresOf(4, 2));
    figures.record(0, 1, figuresOf(5, 2));
    expect(readValue(figures, 'requests_total')).toBe(9);
    expect(readValue(figures, 'in_flight')).toBe(4);
  });

  test('keep what a dead worker counted and forget what it had in flight', () => {
    const figures = new ClusterFigures(2);
    figures.record(0, 1, figuresOf(100, 7));
    figures.record(1, 1, figuresOf(1, 1));
    figures.depart(0, 1);
    expect(readValue(figures, 'requests_total')).toBe(101);
    expect(readValue(figures, 'in_flight')).toBe(1);
    figures.record(0, 2, figuresOf(2, 1));
    expect(readValue(figures, 'requests_total')).toBe(103);
  });

  test('count a life once, although it ends before an older one of its slot', () => {
    const figures = new ClusterFigures(1);
    figures.record(0, 1, figuresOf(10));
    figures.record(0, 2, figuresOf(20));
    figures.depart(0, 2);
    figures.record(0, 2, figuresOf(1000));
    expect(readValue(figures, 'requests_total')).toBe(30);
    figures.depart(0, 1);
    expect(readValue(figures, 'requests_total')).toBe(30);
  });

  test('never fall by a bit, however lives of many fractions come and go', () => {
    let state = 7;
    const random = () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
    const figures = new ClusterFigures(3);
    const counts = new Map<string, number>();
    const living: [number, number][] = [];
    let lives = 0;
    let before = 0;
    for (let step = 0; step < 5000; step++) {
      const at = Math.floor(random() * living.length);
      const [slot, life] = living[at] ?? [0, 0];
      if (living.length < 4 || random() < 0.1) living.push([Math.floor(random() * 3), ++lives]);
      else if (random() < 0.3) {
        figures.depart(slot, life);
        living.splice(at, 1);
      } else {
        const count = (counts.get(`${life}`) ?? 0) + random() * 0.1;
        counts.set(`${life}`, count);
        figures.record(slot, life, figuresOf(count));
      }
      const now = readValue(figures, 'requests_total') ?? 0;
      expect(now).toBeGreaterThanOrEqual(before);
      before = now;
    }
    expect(before).toBeGreaterThan(50);
  });
});
