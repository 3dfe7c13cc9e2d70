import { expect, test } from 'bun:test';
import { FairShares } from '../../../src/utils/fair-shares.ts';
import { bytesRetainedOfOwners, FEW_BYTES } from '../../support/retained-bytes.ts';

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
  shares.release('a');
  expect([shares.held('a'), shares.used]).toEqual([1, 1]);
  shares.release('a');
  expect([shares.held('a'), shares.used]).toEqual([0, 0]);
});

test('an owner may have exactly as much as it leaves', () => {
  for (const [max, count] of [
    [2, 1],
    [3, 2],
    [4, 2],
  ] as const)
    expect(takeAll(new FairShares(max), 'a')).toEqual([count, 'share']);
});

test('a check takes nothing', () => {
  const shares = new FairShares(3);
  for (let i = 0; i < 5; i++) expect(shares.check('a')).toBeNull();
  expect(takeAll(shares, 'a')).toEqual([2, 'share']);
  expect([shares.check('a'), shares.check('b'), shares.used]).toEqual(['share', null, 2]);
});

test('the first amount of an owner may be larger than its share, the second may not', () => {
  const shares = new FairShares(10);
  expect([shares.take('a', 9), shares.take('a', 1), shares.take('b', 5), shares.take('c', 1)]).toEqual([
    null,
    'share',
    null,
    'full',
  ]);
  shares.release('a', 9);
  expect([shares.held('a'), shares.held('b'), shares.used]).toEqual([0, 5, 5]);
});

test('the maximum may change: what is held stays, and the next one is checked against the new one', () => {
  let max = 8;
  const shares = new FairShares(() => max);
  expect(takeAll(shares, 'a')).toEqual([4, 'share']);
  max = 3;
  expect([shares.take('b'), shares.used]).toEqual(['full', 4]);
  max = 16;
  expect(takeAll(shares, 'a')).toEqual([4, 'share']);
});

test('owners that hold nothing are forgotten', () => {
  const shares = new FairShares(4);
  const visit = (owner: string) => {
    shares.take(owner);
    shares.release(owner);
  };
  expect(bytesRetainedOfOwners(visit)).toBeLessThan(FEW_BYTES);
});
