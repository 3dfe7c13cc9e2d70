import { expect, test } from 'bun:test';
import { limitConcurrency } from '../../../src/utils/concurrency.ts';

test('no more run at a time than may, in the order in which they came, and failures free their place', async () => {
  const inTurn = limitConcurrency(2);
  const begun: number[] = [];
  const gates = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
  const runs = gates.map(({ promise }, i) =>
    inTurn(async () => {
      begun.push(i);
      await promise;
      if (i === 0) throw new Error('failed');
      return i;
    }),
  );
  const settled = Promise.allSettled(runs);
  await Bun.sleep(0);
  expect(begun).toEqual([0, 1]);
  gates[0]!.resolve();
  await Bun.sleep(0);
  expect(begun).toEqual([0, 1, 2]);
  // Somebody who comes while others wait does not slip in before them.
  const late = inTurn(async () => begun.push(99));
  gates[1]!.resolve();
  gates[2]!.resolve();
  await Bun.sleep(0);
  expect(begun).toEqual([0, 1, 2, 3, 4]);
  for (const { resolve } of gates) resolve();
  await late;
  expect(begun.at(-1)).toBe(99);
  expect((await settled).map(({ status }) => status)).toEqual([
    'rejected',
    'fulfilled',
    'fulfilled',
    'fulfilled',
    'fulfilled',
  ]);
});
