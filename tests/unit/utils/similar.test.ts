import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { editDistance, mostSimilar } from '../../../src/utils/similar.ts';

describe('the edit distance', () => {
  test.each([
    ['', '', 0],
    ['abc', 'abc', 0],
    ['abc', 'acb', 1],
    ['abc', 'ab', 1],
    ['abc', 'abcd', 1],
    ['abc', 'axc', 1],
    ['status', 'stauts', 1],
    ['kitten', 'sitting', 3],
  ])('of %p and %p is %p', (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance);
  });

  test('is the same both ways, and at most the length of the longer word', () => {
    const word = fc.string({ maxLength: 12, unit: fc.constantFrom('a', 'b', 'c') });
    fc.assert(
      fc.property(word, word, (a, b) => {
        expect(editDistance(a, b)).toBe(editDistance(b, a));
        expect(editDistance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length));
        expect(editDistance(a, a)).toBe(0);
      }),
      { numRuns: 300, seed: 3 },
    );
  });
});

describe('the most similar word', () => {
  const COMMANDS = ['serve', 'status', 'migrate', 'doctor', 'config', 'key'];
  test.each([
    ['stauts', 'status'],
    ['Status', 'status'],
    ['docter', 'doctor'],
    ['conifg', 'config'],
    ['keys', 'key'],
  ])('of %p is %p', (given, meant) => {
    expect(mostSimilar(given, COMMANDS)).toBe(meant);
  });

  test.each(['deploy', 'x', '', 'a'.repeat(1000)])('of %p is none', (given) => {
    expect(mostSimilar(given, COMMANDS)).toBeNull();
  });
});
