import { describe, expect, test } from 'bun:test';
import { FULL_PLAN, type Plan, QUICK_PLAN } from './plan.ts';

describe('the plan of a run', () => {
  test('offers payments and reads 0.5, 1, 1.7, 3 and 10 times the peak, three times each', () => {
    expect(FULL_PLAN.overload).toMatchObject({ loads: [0.5, 1, 1.7, 3, 10], rounds: 3 });
    expect(QUICK_PLAN.overload.loads).toEqual(FULL_PLAN.overload.loads);
  });

  test('offers five times the peak of the mix, and a steady load for seven minutes', () => {
    for (const { mixed } of [FULL_PLAN, QUICK_PLAN]) expect(mixed.loads).toContain(5);
    expect(FULL_PLAN.memory.steadySeconds).toBe(7 * 60);
  });

  test('is shorter in every respect if it is quick', () => {
    const numbersOf = (plan: Plan) =>
      Object.entries(plan).flatMap(([part, lengths]) =>
        Object.entries(typeof lengths === 'string' ? {} : (lengths as Record<string, unknown>))
          .filter(([, value]) => typeof value === 'number')
          .map(([name, value]) => [`${part}.${name}`, value as number] as const),
      );
    const quick = new Map(numbersOf(QUICK_PLAN));
    expect(quick.size).toBeGreaterThan(15);
    for (const [name, value] of numbersOf(FULL_PLAN))
      expect([name, quick.get(name)! < value]).toEqual([name, true]);
  });
});
