import { afterEach, beforeEach, expect, spyOn, test } from 'bun:test';
import { throttle } from '../../../src/utils/throttle.ts';

let nowMs = 0;
let clock: ReturnType<typeof spyOn<Performance, 'now'>>;
beforeEach(() => {
  nowMs = 5000;
  clock = spyOn(performance, 'now').mockImplementation(() => nowMs);
});
afterEach(() => clock.mockRestore());

test('the first call goes through, then one per interval, with the number of suppressed calls', () => {
  const calls: [string, number][] = [];
  const throttled = throttle<string>(1000, (value, suppressed) => calls.push([value, suppressed]));
  throttled('a');
  throttled('b');
  nowMs += 999;
  throttled('c');
  nowMs += 1;
  throttled('d');
  nowMs += 10_000;
  throttled('e');
  expect(calls).toEqual([
    ['a', 0],
    ['d', 2],
    ['e', 0],
  ]);
});
