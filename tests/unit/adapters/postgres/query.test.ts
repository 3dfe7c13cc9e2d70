import { expect, test } from 'bun:test';
import type postgres from 'postgres';
import { QueryStats, sendQuery } from '../../../../src/adapters/postgres/query.ts';
import { until } from '../../../support/until.ts';

type Sent = postgres.PendingQuery<{ done: boolean }[]>;

/** A query that was sent, and ends when the test says so, or when it is canceled. */
function startQuery() {
  const { promise, resolve, reject } = Promise.withResolvers<{ done: boolean }[]>();
  const query = Object.assign(promise, {
    state: {},
    cancels: 0,
    cancel() {
      query.cancels++;
      reject(new Error('canceled'));
    },
  });
  const caller = new AbortController();
  const result = sendQuery(query as unknown as Sent, caller.signal, new QueryStats());
  result.catch(() => {});
  return { query, result, leave: () => caller.abort(), end: () => resolve([{ done: true }]) };
}

test('a query that ends soon after its caller has left is not canceled, which would cost more', async () => {
  const { query, result, leave, end } = startQuery();
  leave();
  expect(query.cancels).toBe(0);
  end();
  expect([...(await result)]).toEqual([{ done: true }]);
  // Longer than a query may run before it is canceled.
  await Bun.sleep(150);
  expect(query.cancels).toBe(0);
});

test('a query that runs long is canceled once its caller has left, before or after it became long', async () => {
  const left = startQuery();
  left.leave();
  await until(() => left.query.cancels === 1);
  await expect(left.result).rejects.toThrow('canceled');

  const long = startQuery();
  await Bun.sleep(150);
  long.leave();
  expect(long.query.cancels).toBe(1);
  await expect(long.result).rejects.toThrow('canceled');
});
