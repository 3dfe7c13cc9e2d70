import { expect, test } from 'bun:test';
import { groupCommitOver, LedgerInMemory, requestOf } from '../../../../support/ledger-in-memory.ts';

test('the next batch is sent before the results of the last are handed out', async () => {
  const ledger = new LedgerInMemory();
  const commit = groupCommitOver(ledger);
  const seen: number[] = [];
  const first = commit.submit(requestOf('a')).then(() => seen.push(ledger.batches.length));
  const batch = await ledger.next();
  const second = commit.submit(requestOf('b'));
  batch.commit();
  await first;
  expect(seen).toEqual([2]);
  (await ledger.next()).commit();
  await second;
});

test('results are handed out before the next batch is held open for requests that have not arrived', async () => {
  const ledger = new LedgerInMemory();
  const commit = groupCommitOver(ledger, { waitedMs: 100 });
  const seen: number[] = [];
  const first = commit.submit(requestOf('a')).then(() => seen.push(ledger.batches.length));
  const batch = await ledger.next();
  const second = commit.submit(requestOf('b'));
  batch.commit();
  await first;
  expect(seen).toEqual([1]);
  // A caller that continues with its result is still in time for the batch.
  const third = commit.submit(requestOf('c'));
  (await ledger.next()).commit();
  await Promise.all([second, third]);
  expect(ledger.batches).toEqual([['a'], ['b', 'c']]);
});
