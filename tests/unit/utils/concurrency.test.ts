import { expect, test } from 'bun:test';
import { limitConcurrency } from '../../../src/utils/concurrency.ts';
import { settled } from '../../support/virtual-time.ts';

test('at most the maximum run concurrently, in FIFO order, and failures release their slot', async () => {
  const inTurn = limitConcurrency(2);
  const started: number[] = [];
  const gates = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
  const runs = gates.map(({ promise }, i) =>
    inTurn(async () => {
      started.push(i);
      await promise;
      if (i === 0) throw new Error('failed');
      return i;
    }),
  );
  const outcomes = Promise.allSettled(runs);
  await settled();
  expect(started).toEqual([0, 1]);
  gates[0]!.resolve();
  await settled();
  expect(started).toEqual([0, 1, 2]);
  // A task that arrives while others wait does not overtake them.
  const late = inTurn(async () => started.push(99));
  gates[1]!.resolve();
  gates[2]!.resolve();
  await settled();
  expect(started).toEqual([0, 1, 2, 3, 4]);
  for (const { resolve } of gates) resolve();
  await late;
  expect(started.at(-1)).toBe(99);
  expect((await outcomes).map(({ status }) => status)).toEqual([
    'rejected',
    'fulfilled',
    'fulfilled',
    'fulfilled',
    'fulfilled',
  ]);
});
