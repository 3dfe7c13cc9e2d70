import { expect, test } from 'bun:test';
import { backoffMs, RetryBudget } from '../../../src/resilience/retry.ts';

test('waits are random, up to 100, 200 and 400 ms', () => {
  const longest = () => 1;
  expect([1, 2, 3, 4, 9].map((retry) => backoffMs(retry, longest))).toEqual([100, 200, 400, 400, 400]);
  expect(backoffMs(3, () => 0)).toBe(0);
  expect(backoffMs(2, () => 0.25)).toBe(50);
});

test('when every call fails, retries are a fifth of the calls plus a small reserve', () => {
  const budget = new RetryBudget();
  let retries = 0;
  for (let call = 0; call < 1000; call++) {
    budget.deposit();
    while (budget.withdraw()) retries++;
  }
  expect(retries).toBeGreaterThanOrEqual(200);
  expect(retries).toBeLessThanOrEqual(210);
});

test('an idle period does not accumulate retries', () => {
  const budget = new RetryBudget();
  for (let call = 0; call < 1_000_000; call++) budget.deposit();
  let retries = 0;
  while (budget.withdraw()) retries++;
  expect(retries).toBe(10);
});
