import { afterEach, beforeEach, describe, expect, jest, spyOn, test } from 'bun:test';
import fc from 'fast-check';
import { type Alarm, DeadlineWheel } from '../../../src/envelope/deadline-wheel.ts';

// The clock is simulated: no test waits, and all see the same ticks.
let nowMs = 0;
let clock: ReturnType<typeof spyOn<Performance, 'now'>>;
beforeEach(() => {
  nowMs = 1000;
  jest.useFakeTimers();
  clock = spyOn(performance, 'now').mockImplementation(() => nowMs);
});
afterEach(() => {
  clock.mockRestore();
  jest.useRealTimers();
});

function pass(milliseconds: number, stepMs = 10): void {
  for (let passed = 0; passed < milliseconds; passed += stepMs) {
    nowMs += stepMs;
    jest.advanceTimersByTime(stepMs);
  }
}

describe('a deadline wheel', () => {
  test('never fires early, and at most one tick late', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 30 }), (delays) => {
        const wheel = new DeadlineWheel(10, 500);
        const startMs = nowMs;
        const late: number[] = [];
        for (const delay of delays) wheel.set(startMs + delay, () => late.push(nowMs - (startMs + delay)));
        pass(500);
        expect(late).toHaveLength(delays.length);
        // An alarm for now fires with the next tick.
        expect(late.every((ms) => ms >= 0 && ms <= 10)).toBe(true);
        expect(wheel.waiting).toBe(0);
      }),
      { numRuns: 50, seed: 1 },
    );
  });

  test('fires every alarm that was not canceled, exactly once', () => {
    const operation = fc.record({ delay: fc.integer({ min: 0, max: 300 }), cancelled: fc.boolean() });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
        const wheel = new DeadlineWheel(10, 200);
        const fired = operations.map(() => 0);
        const alarms: Alarm[] = operations.map(({ delay }, i) =>
          wheel.set(nowMs + delay, () => {
            fired[i]!++;
          }),
        );
        for (const [i, { cancelled }] of operations.entries()) if (cancelled) wheel.cancel(alarms[i]!);
        expect(wheel.waiting).toBe(operations.filter(({ cancelled }) => !cancelled).length);
        pass(500);
        expect(fired).toEqual(operations.map(({ cancelled }) => (cancelled ? 0 : 1)));
      }),
      { numRuns: 50, seed: 2 },
    );
  });

  test('ignores an alarm that is canceled twice or after it fired', () => {
    const wheel = new DeadlineWheel(10, 100);
    const [first, second] = [wheel.set(nowMs + 20, () => {}), wheel.set(nowMs + 20, () => {})];
    wheel.cancel(first);
    wheel.cancel(first);
    expect(wheel.waiting).toBe(1);
    pass(50);
    wheel.cancel(second);
    expect(wheel.waiting).toBe(0);
  });

  test('catches up after the loop was blocked', () => {
    const wheel = new DeadlineWheel(10, 1000);
    const fired: string[] = [];
    wheel.set(nowMs + 30, () => fired.push('30'));
    wheel.set(nowMs + 300, () => fired.push('300'));
    wheel.set(nowMs + 900, () => fired.push('900'));
    nowMs += 400;
    jest.advanceTimersByTime(10);
    expect(fired).toEqual(['30', '300']);
  });

  test('lets an alarm cancel another one of the same tick', () => {
    const wheel = new DeadlineWheel();
    const fired: string[] = [];
    const first = wheel.set(nowMs + 50, () => fired.push('first'));
    wheel.set(nowMs + 50, () => {
      fired.push('second');
      wheel.cancel(first);
    });
    pass(100);
    expect(fired).toEqual(['second']);
    expect(wheel.waiting).toBe(0);
  });

  test('accepts alarms set by an alarm, without firing them in the same turn', () => {
    const wheel = new DeadlineWheel(10, 100);
    let turns = 0;
    const again = () => {
      turns++;
      if (turns < 5) wheel.set(nowMs, again);
    };
    wheel.set(nowMs, again);
    pass(10);
    expect(turns).toBe(1);
    pass(100);
    expect(turns).toBe(5);
  });

  test('stops its timer after being idle for a while, and restarts it', () => {
    const wheel = new DeadlineWheel(10, 100);
    wheel.cancel(wheel.set(nowMs + 50, () => {}));
    expect(jest.getTimerCount()).toBe(1);
    pass(2000);
    expect(jest.getTimerCount()).toBe(0);
    let fired = false;
    nowMs += 100_000;
    wheel.set(nowMs + 20, () => {
      fired = true;
    });
    pass(30);
    expect(fired).toBe(true);
  });

  test('fires alarms beyond its range at the end of the range', () => {
    const wheel = new DeadlineWheel(10, 100);
    let fired = false;
    wheel.set(nowMs + 1_000_000, () => {
      fired = true;
    });
    pass(90);
    expect(fired).toBe(false);
    pass(40);
    expect(fired).toBe(true);
  });
});
