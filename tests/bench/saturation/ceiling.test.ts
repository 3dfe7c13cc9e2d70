import { describe, expect, test } from 'bun:test';
import { ceilingOf } from './ceiling.ts';

describe('the ceiling of goodput under overload', () => {
  test('is everything that is offered, up to the peak', () => {
    expect(ceilingOf(0.5, 0.08)).toBe(0.5);
    expect(ceilingOf(1, 0.08)).toBe(1);
  });

  test('leaves the processor what refusals do not use', () => {
    const [offered, cost] = [3, 0.08];
    const served = ceilingOf(offered, cost);
    expect(served + (offered - served) * cost).toBeCloseTo(1, 10);
    expect(served).toBeCloseTo((1 - offered * cost) / (1 - cost), 10);
  });

  test('stays at the peak if refusals are free, and is never negative', () => {
    expect(ceilingOf(10, 0)).toBe(1);
    expect(ceilingOf(20, 0.1)).toBe(0);
  });
});
