import { expect, test } from 'bun:test';
import { FairShares } from '../../../src/utils/fair-shares.ts';

/** Takes one at a time until it is refused; returns how many, and why it ended. */
function takeAll(shares: FairShares, owner: string): [number, string] {
  for (let taken = 0; ; taken++) {
    const refusal = shares.take(owner);
    if (refusal !== null) return [taken, refusal];
  }
}

test('one owner gets half, the next a part of the rest, and something is left for a newcomer', () => {
  const shares = new FairShares(16);
  expect(takeAll(shares, 'a')).toEqual([8, 'share']);
  expect(takeAll(shares, 'b')).toEqual([4, 'share']);
  expect(takeAll(shares, 'c')).toEqual([2, 'share']);
  expect([shares.take('d'), shares.take('e'), shares.take('f')]).toEqual([null, null, 'full']);
  expect(shares.used).toBe(16);
});

test('what an owner releases is available to everybody, and to the owner again', () => {
  const shares = new FairShares(4);
  expect(takeAll(shares, 'a')).toEqual([2, 'share']);
  shares.release('a');
  shares.release('a');
  expect(shares.used).toBe(0);
  expect(takeAll(shares, 'a')).toEqual([2, 'share']);
});

test('the first amount of an owner may be larger than its share, the second may not', () => {
  const shares = new FairShares(10);
  expect([shares.take('a', 9), shares.take('a', 1), shares.take('b', 5), shares.take('c', 1)]).toEqual([
    null,
    'share',
    null,
    'full',
  ]);
});
