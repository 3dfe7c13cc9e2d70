import { expect, test } from 'bun:test';
import { limitConcurrency, limitConcurrencyByOwner } from '../../../src/utils/concurrency.ts';
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

test('owners of waiting tasks take turns, so that one with many does not hold up the others', async () => {
  const inTurn = limitConcurrencyByOwner(1);
  const started: string[] = [];
  const run = (owner: string, name: string) =>
    inTurn(owner, async () => {
      started.push(name);
      await Promise.resolve();
      if (name === 'a1') throw new Error('failed');
    });
  const runs = ['a0', 'a1', 'a2', 'a3', 'b0', 'b1', 'c0'].map((name) => run(name[0]!, name));
  const outcomes = await Promise.allSettled(runs);
  expect(started).toEqual(['a0', 'a1', 'b0', 'c0', 'a2', 'b1', 'a3']);
  expect(outcomes.map(({ status }) => status).filter((status) => status === 'rejected')).toHaveLength(1);
  // No slot was lost.
  await run('d', 'd0');
  expect(started.at(-1)).toBe('d0');
});
