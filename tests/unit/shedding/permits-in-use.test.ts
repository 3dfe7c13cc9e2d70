import { expect, test } from 'bun:test';
import { PermitsInUse } from '../../../src/shedding/permits-in-use.ts';

const LIMIT = 100;

function inUse(count: number): PermitsInUse {
  const permits = new PermitsInUse();
  for (let i = 0; i < count; i++) permits.enter();
  return permits;
}

test('permits that are free for a rank are those that nobody uses, without what is reserved for higher ranks', () => {
  const permits = inUse(50);
  expect([0, 1, 2].map((rank) => permits.free(rank, LIMIT))).toEqual([46, 48, 50]);
  permits.leave();
  expect(permits.free(2, LIMIT)).toBe(51);
  expect(permits.free(2, 40)).toBe(-9);
});

test('permits are short for twenty updates after a refusal, and no longer after an idle period', () => {
  const permits = inUse(5);
  expect([permits.update(LIMIT), permits.isShort]).toEqual([false, false]);
  permits.refuse();
  expect(permits.isShort).toBe(false);
  expect([permits.update(LIMIT), permits.isShort]).toEqual([true, true]);
  for (let i = 0; i < 19; i++) expect([permits.update(LIMIT), permits.isShort]).toEqual([false, true]);
  expect([permits.update(LIMIT), permits.isShort]).toEqual([false, false]);
  permits.refuse();
  permits.update(LIMIT);
  permits.reset();
  expect([permits.isShort, permits.wanted, permits.inFlight]).toEqual([false, 0, 5]);
});

test('permits are crowded for twenty updates after more than half were in use, or after a refusal', () => {
  const permits = inUse(50);
  permits.update(LIMIT);
  expect(permits.isCrowded).toBe(false);
  permits.enter();
  permits.update(LIMIT);
  expect([permits.isCrowded, permits.isShort]).toEqual([true, false]);
  permits.leave();
  for (let i = 0; i < 20; i++) {
    permits.update(LIMIT);
    expect(permits.isCrowded).toBe(true);
  }
  permits.update(LIMIT);
  expect(permits.isCrowded).toBe(false);
  permits.refuse();
  permits.update(LIMIT);
  expect(permits.isCrowded).toBe(true);
  permits.reset();
  expect(permits.isCrowded).toBe(false);
});

test('permits are wanted for the peak and for what was refused, and fewer as the load falls', () => {
  const permits = inUse(10);
  for (let i = 0; i < 20; i++) permits.refuse();
  permits.update(LIMIT);
  expect(permits.wanted).toBe(35);
  for (let i = 0; i < 10; i++) permits.leave();
  permits.update(LIMIT);
  const falling = Array.from({ length: 40 }, () => {
    permits.update(LIMIT);
    return permits.wanted;
  });
  expect(falling).toEqual(falling.toSorted((a, b) => b - a));
  expect(falling.at(-1)).toBe(2);
});
