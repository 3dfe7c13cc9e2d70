import { describe, expect, test } from 'bun:test';
import { OBJECTIVE_MS } from './order.ts';
import { Tally } from './tally.ts';

describe('the tally of a load', () => {
  test('counts a response by the second in which its request was due, and late after the objective', () => {
    const tally = new Tally(0, 2);
    for (const dueMs of [0, 999, 1000]) tally.due(dueMs, true);
    tally.responded(0, OBJECTIVE_MS, 201);
    tally.responded(999, 999 + OBJECTIVE_MS + 1, 201);
    tally.responded(1000, 1003, 200);
    const { seconds } = tally.report('payments');
    expect(seconds[0]).toEqual({ due: 2, sent: 2, good: 1, late: 1, refused: 0, others: 0 });
    expect(seconds[1]).toEqual({ due: 1, sent: 1, good: 1, late: 0, refused: 0, others: 0 });
  });

  test('reports what was due but not sent', () => {
    const tally = new Tally(0, 1);
    tally.due(10, true);
    tally.due(20, false);
    expect(tally.report('payments')).toMatchObject({ due: 2, sent: 1, good: 0 });
  });

  test('excludes the warm-up from means and quantiles, and reports means per second', () => {
    const tally = new Tally(1, 2);
    for (const dueMs of [500, 1500, 1600, 2500]) {
      tally.due(dueMs, true);
      tally.responded(dueMs, dueMs + (dueMs < 1000 ? 150 : 10), 201);
    }
    const report = tally.report('payments');
    expect(report).toMatchObject({ due: 1.5, sent: 1.5, good: 1.5 });
    expect(report.admitted).toEqual({ p50Ms: 10, p95Ms: 10, p99Ms: 10 });
    expect(report.seconds).toHaveLength(3);
  });

  test('divides by the time measured, even if it ends within a second', () => {
    const tally = new Tally(1, 1.5);
    for (let dueMs = 0; dueMs < 3000; dueMs += 10) {
      tally.due(dueMs, true);
      tally.responded(dueMs, dueMs + 1, 200);
    }
    expect(tally.report('reads')).toMatchObject({ due: 100, sent: 100, good: 100 });
  });

  test('keeps the latency of refusals apart from that of admitted requests', () => {
    const tally = new Tally(0, 1);
    tally.responded(0, 30, 201);
    tally.responded(0, 2, 429);
    tally.responded(0, 5, 503);
    const { admitted, refusedLatency, refused, others } = tally.report('payments');
    expect([admitted.p99Ms, refusedLatency.p99Ms, refused, others]).toEqual([30, 2, 1, 1]);
  });

  test('has no latency without responses, and ignores what is due after the run', () => {
    const tally = new Tally(0, 1);
    tally.due(1000, true);
    tally.responded(1000, 1001, 201);
    expect(tally.report('payments')).toMatchObject({
      due: 0,
      good: 0,
      admitted: { p50Ms: null, p99Ms: null },
    });
  });
});
