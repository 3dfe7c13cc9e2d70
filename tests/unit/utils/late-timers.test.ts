import { expect, test } from 'bun:test';
import { runLateTimers, setLateTimer } from '../../../src/utils/late-timers.ts';

test('a timer fires on its own when the event loop is on time', async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  setLateTimer(1, () => resolve('fired'));
  expect(await promise).toBe('fired');
});

test('a timer of this turn fires at its end', async () => {
  const order: string[] = [];
  setLateTimer(0, () => order.push('timer'));
  await Promise.resolve();
  order.push('microtask');
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  expect(order).toEqual(['microtask', 'timer']);
});

test('a late timer is run by the next request, in the middle of a turn, and only once', async () => {
  const runs: string[] = [];
  const nowMs = performance.now();
  setLateTimer(0, () => runs.push('turn'));
  setLateTimer(20, () => runs.push('20 ms'));
  runLateTimers(nowMs);
  expect(runs).toEqual([]);
  runLateTimers(nowMs + 10);
  expect(runs).toEqual(['turn']);
  runLateTimers(nowMs + 1000);
  runLateTimers(nowMs + 1000);
  expect(runs).toEqual(['turn', '20 ms']);
  await new Promise((resolve) => setTimeout(resolve, 40));
  expect(runs).toEqual(['turn', '20 ms']);
});

test('a canceled timer does not run, and the others do', () => {
  const runs: string[] = [];
  const nowMs = performance.now();
  const cancel = setLateTimer(1000, () => runs.push('canceled'));
  setLateTimer(2000, () => runs.push('later'));
  cancel();
  cancel();
  runLateTimers(nowMs + 1500);
  expect(runs).toEqual([]);
  runLateTimers(nowMs + 2500);
  expect(runs).toEqual(['later']);
});

test('a late timer that another one cancels does not run', () => {
  const runs: string[] = [];
  const cancels: (() => void)[] = [];
  setLateTimer(1000, () => {
    runs.push('first');
    for (const cancel of cancels) cancel();
  });
  cancels.push(setLateTimer(1000, () => runs.push('canceled')));
  runLateTimers(performance.now() + 2000);
  expect(runs).toEqual(['first']);
});
