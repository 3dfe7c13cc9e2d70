import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { isDeeperThan } from '../../../src/envelope/json-depth.ts';

/** Returns the depth of a parsed value. */
function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

describe('the depth of JSON', () => {
  test('equals the depth of the parsed value, for any JSON', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), fc.nat(6), (text, depthMax) => {
        expect(isDeeperThan(text, depthMax)).toBe(depthOf(JSON.parse(text)) > depthMax);
      }),
      { numRuns: 300, seed: 3 },
    );
  });

  test.each([
    ['brackets in a string', '["[[[[{{{{"]'],
    ['brackets in a name', '{"[[[[":1}'],
    ['an escaped quote', '["\\"[[[["]'],
    ['an escaped backslash before a quote', '["\\\\",["a"]]'],
    ['siblings', '[[],[],{},{}]'],
  ])('is not raised by %s', (_, text) => {
    expect(isDeeperThan(text, 2)).toBe(false);
  });

  test('is found in a million brackets, without overflowing the stack', () => {
    expect(isDeeperThan('['.repeat(1_000_000), 32)).toBe(true);
    expect(isDeeperThan('{"a":'.repeat(1_000_000), 32)).toBe(true);
  });

  test('is also found in text that is not JSON, which is left to the parser', () => {
    expect(isDeeperThan('"[[[', 1)).toBe(false);
    expect(isDeeperThan(']]][[', 1)).toBe(false);
    expect(isDeeperThan('', 0)).toBe(false);
  });
});
