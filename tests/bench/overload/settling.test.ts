import { describe, expect, test } from 'bun:test';
import { readSamples, type Sample, type SamplesByTier } from './samples.ts';
import { moments, settlingMs } from './settling.ts';
import { summarize } from './summary.ts';

const HEAD = 'request-start,DNS,DNS+dialup,Response-delay,request-duration,bytes,status';
const sample = (dueMs: number, durationMs: number, status = 200): Sample => ({ dueMs, durationMs, status });
const onlyCritical = (critical: Sample[]): SamplesByTier => ({ critical, default: [], 'non-critical': [] });
const WINDOW = { fromMs: 0, untilMs: 1000, ratePerSecond: 100 };

describe('the rows of oha', () => {
  test('give when a request was due, not when it was sent', () => {
    const rows = ['1.000,0,0,0.020,0.020,2,200', '1.500,0,0,0.020,0.320,2,429'];
    const [first, second] = readSamples([HEAD, ...rows].join('\n'));
    expect(first).toMatchObject({ dueMs: 0, status: 200 });
    expect(second!.dueMs).toBeCloseTo(200, 6);
    expect(second!.durationMs).toBeCloseTo(320, 6);
  });

  test('are rejected if oha writes other columns', () => {
    expect(() => readSamples('request-start,status\n1,200')).toThrow('Unexpected columns');
  });
});

describe('the summary of a run', () => {
  test('counts a late response and a request without a response as failed', () => {
    const served = [sample(1, 10), sample(2, 199), sample(3, 201)];
    const { success, goodput, unansweredPerSecond } = summarize(onlyCritical(served), WINDOW);
    expect(success.critical).toBe(0.2);
    expect(goodput).toBe(2);
    expect(unansweredPerSecond).toBe(97);
  });

  test('excludes refusals from latency and goodput', () => {
    const { p99Ms, goodput, refusedPerSecond } = summarize(
      onlyCritical([sample(1, 30), sample(2, 1, 429)]),
      WINDOW,
    );
    expect({ p99Ms, goodput, refusedPerSecond }).toEqual({ p99Ms: 30, goodput: 1, refusedPerSecond: 1 });
  });

  test('excludes requests that were due outside its window', () => {
    const { goodput } = summarize(onlyCritical([sample(-1, 10), sample(500, 10), sample(1000, 10)]), WINDOW);
    expect(goodput).toBe(1);
  });
});

describe('the time to settle', () => {
  const calm = { p99MsMax: 50, goodputMin: 90 };
  const every10Ms = (durationMs: (dueMs: number) => number) =>
    Array.from({ length: 100 }, (_, i) => sample(i * 10, durationMs(i * 10)));
  const after = { fromMs: 0, untilMs: 1000, stepMs: 50, lengthMs: 200 };

  test('is the end of the last unsettled window', () => {
    const samples = every10Ms((dueMs) => (dueMs < 300 ? 80 : 20));
    expect(settlingMs(moments(samples, after), calm)).toBe(300);
  });

  test('is zero if the step left no trace', () => {
    expect(
      settlingMs(
        moments(
          every10Ms(() => 20),
          after,
        ),
        calm,
      ),
    ).toBe(0);
  });

  test('is infinite if the end is unsettled, or if nobody was served', () => {
    expect(
      settlingMs(
        moments(
          every10Ms((dueMs) => (dueMs > 900 ? 80 : 20)),
          after,
        ),
        calm,
      ),
    ).toBe(Infinity);
    expect(settlingMs(moments([], after), calm)).toBe(Infinity);
  });
});
