import { afterEach, beforeEach, expect, spyOn, test } from 'bun:test';
import { throttle } from '../../../src/utils/throttle.ts';

let nowMs = 0;
let clock: ReturnType<typeof spyOn<Performance, 'now'>>;
beforeEach(() => {
  nowMs = 5000;
  clock = spyOn(performance, 'now').mockImplementation(() => nowMs);
});
afterEach(() => clock.mockRestore());

test('the first call goes through, then one in each interval, with how many were left out', () => {
  const heard: [string, number][] = [];
  const say = throttle<string>(1000, (value, leftOut) => heard.push([value, leftOut]));
  say('a');
  say('b');
  nowMs += 999;
  say('c');
  nowMs += 1;
  say('d');
  nowMs += 10_000;
  say('e');
  expect(heard).toEqual([
    ['a', 0],
    ['d', 2],
    ['e', 0],
  ]);
});
