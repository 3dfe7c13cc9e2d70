import { expect, test } from 'bun:test';
import { until } from './until.ts';

const SOON = { deadlineMs: 20, pollMs: 1 };

test('until returns the first truthy value of a condition', async () => {
  let polls = 0;
  expect(await until(() => ++polls === 3 && `poll ${polls}`)).toBe('poll 3');
  expect(await until(async () => 7)).toBe(7);
});

test('until throws after the deadline, and names the condition and its last value', async () => {
  const queue = ['left over'];
  const error: Error = await until(() => queue.length === 0, SOON).catch((caught) => caught);
  expect(error.message).toBe('Not reached within 20 ms: () => queue.length === 0\nLast value: false');
});

test('until names what the caller says, with the details of that moment', async () => {
  let polls = 0;
  const condition = () => {
    polls++;
    return null;
  };
  const options = { ...SOON, what: 'a leader is elected', details: () => `polls: ${polls > 1}` };
  const message = 'Not reached within 20 ms: a leader is elected\nLast value: null\npolls: true';
  await expect(until(condition, options)).rejects.toThrow(message);
});

test('until throws after the deadline even if the condition hangs', async () => {
  const hanging = until(() => new Promise<boolean>(() => {}), SOON);
  await expect(hanging).rejects.toThrow('the condition never returned');
});

test('until passes on the error of a condition', async () => {
  const failing = until(() => Promise.reject(new Error('connection refused')));
  await expect(failing).rejects.toThrow('connection refused');
});
