import { describe, expect, test } from 'bun:test';
import { CompiledSchema } from '../../../../src/utils/json-schema/compiled-schema.ts';
import { BudgetSpent } from '../../../../src/utils/json-schema/step-budget.ts';

const STEPS_MAX = 100_000;

describe('no schema and value takes more than the steps it may', () => {
  const doubling = (from: string, levels: number) =>
    Object.fromEntries(
      Array.from({ length: levels }, (_, i) => {
        const $ref = i + 1 < levels ? `#/$defs/${from}${i + 1}` : '#/$defs/end';
        return [`${from}${i}`, { allOf: [{ $ref }, { $ref }] }];
      }),
    );
  let nested: unknown = [];
  for (let i = 0; i < 30; i++) nested = [nested];
  const texts = 'a'.repeat(60_000);
  const numbers = Array.from({ length: 12_000 }, (_, i) => i);
  const members = Object.fromEntries(numbers.map((n) => [`m${n}`, n]));
  const again = { allOf: [{ items: { $ref: '#' } }, { items: { $ref: '#' } }] };

  test.each<[string, unknown, unknown]>([
    ['references that double', { $ref: '#/$defs/a0', $defs: { ...doubling('a', 200), end: {} } }, {}],
    ['references that double with each level', again, nested],
    ['a pattern that goes back', { pattern: '^(a+)+$' }, `${texts}b`],
    ['a pattern with many ways', { pattern: '(.*.*.*.*)*x' }, texts],
    ['a pattern of a name', { patternProperties: { '^(a|a?)+$': true } }, { [`${texts}b`]: 1 }],
    ['many comparisons of a large value', { allOf: Array(900).fill({ enum: [1] }) }, numbers],
    [
      'many counts of the members of a large object',
      { allOf: Array(900).fill({ maxProperties: 1e9 }) },
      members,
    ],
    ['many multiples', { items: { allOf: Array(90).fill({ multipleOf: 1e-308 }) } }, Array(2000).fill(1e308)],
    [
      'a long chain for each level',
      { items: { $ref: '#/$defs/a0' }, $defs: { ...chain(900), end: { items: { $ref: '#/$defs/a0' } } } },
      nested,
    ],
  ])('%s', (_, schema, value) => {
    const compiled = CompiledSchema.compile(schema);
    expect(() => compiled.validate(value, STEPS_MAX)).toThrow(BudgetSpent);
  });

  function chain(length: number): object {
    return Object.fromEntries(
      Array.from({ length }, (_, i) => [
        `a${i}`,
        { $ref: i + 1 < length ? `#/$defs/a${i + 1}` : '#/$defs/end' },
      ]),
    );
  }

  test('patterns of no names are not compared with any', () => {
    const schema = { allOf: Array(900).fill({ patternProperties: {} }) };
    let reads = 0;
    const value = new Proxy({}, { ownKeys: () => [String(reads++)] });
    expect(CompiledSchema.compile(schema).validate(value, STEPS_MAX)).toEqual([]);
    expect(reads).toBe(0);
  });

  test('and a large ordinary document takes few', () => {
    const schema = {
      items: { type: 'object', properties: { id: { pattern: '^[A-Z]{2}\\d{4}$' }, n: { type: 'number' } } },
    };
    const value = Array.from({ length: 1000 }, (_, n) => ({ id: 'AB1234', n }));
    expect(CompiledSchema.compile(schema).validate(value, STEPS_MAX)).toEqual([]);
    expect(
      CompiledSchema.compile({ uniqueItems: true, items: { enum: numbers } }).validate(numbers, STEPS_MAX),
    ).toEqual([]);
  });
});
