import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { LinearPattern } from '../../../../src/utils/json-schema/linear-pattern.ts';
import { BudgetSpent, StepBudget } from '../../../../src/utils/json-schema/step-budget.ts';

const matches = (source: string, text: string) =>
  LinearPattern.compile(source).test(text, new StepBudget(1_000_000));

test.each<[string, string]>([
  ['^[A-Z]{2}\\d{2}[A-Z0-9]{11,30}$', 'DE89370400440532013000'],
  ['^\\p{Lu}\\p{Ll}+(?:[ -]\\p{Lu}\\p{Ll}+)*$', 'Zoë Müller-Lüdenscheidt'],
  ['^(?<year>\\d{4})-\\d\\d$', '2026-01'],
  ['\\bcat\\b', 'a cat.'],
  ['\\Bcat', 'concat'],
  ['^.$', '😀'],
  ['^\\uD83D\\uDE00\\u{1F600}$', '😀😀'],
  ['^[\\uD83D\\uDE00-\\u{1F64F}]$', '😁'],
  ['^[^\\]\\\\]$', 'a'],
  ['^\\x41\\cA\\0?\\/$', 'A\u0001/'],
  ['a*?b|c{2,}?', 'xxcc'],
  ['^(a*)*$', 'aaa'],
  ['^(?:)$', ''],
  ['', 'anything'],
])('%s is found in %p as JavaScript finds it', (source, text) => {
  expect(new RegExp(source, 'u').test(text)).toBe(true);
  expect(matches(source, text)).toBe(true);
  for (const other of ['', 'a', `${text}\n`, text.slice(1), text.toUpperCase()])
    expect({ source, other, found: matches(source, other) }).toEqual({
      source,
      other,
      found: new RegExp(source, 'u').test(other),
    });
});

const { pattern: anyPattern } = fc.letrec<{ pattern: string }>((tie) => ({
  pattern: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '\\w', '\\s', '^', '$', '\\b', '\\B', 'é', '😀', ''),
    fc.tuple(tie('pattern'), tie('pattern')).map(([a, b]) => a + b),
    fc.tuple(tie('pattern'), tie('pattern')).map(([a, b]) => `(?:${a}|${b})`),
    fc
      .tuple(tie('pattern'), fc.constantFrom('*', '+', '?', '{2}', '{1,}', '{0,2}', '*?', '{0}'))
      .map(([a, times]) => `(${a})${times}`),
  ),
}));

test('finds whatever JavaScript finds, and nothing else', () => {
  let found = 0;
  fc.assert(
    fc.property(
      anyPattern,
      fc.array(fc.constantFrom('a', 'b', ' ', '\n', 'é', '😀', '\u2028'), { maxLength: 6 }),
      (source, characters) => {
        const text = characters.join('');
        const expected = new RegExp(source, 'u').test(text);
        if (expected) found++;
        expect(matches(source, text)).toBe(expected);
      },
    ),
    { numRuns: 3000, seed: 1 },
  );
  expect(found).toBeGreaterThan(300);
});

test('takes steps in proportion to the text, and no more than it may', () => {
  const evil = LinearPattern.compile('^(?:(?:a+)+)+$');
  const steps = (length: number) => {
    for (let max = 1000; ; max += 1000) {
      try {
        evil.test(`${'a'.repeat(length)}b`, new StepBudget(max));
        return max;
      } catch (error) {
        if (!(error instanceof BudgetSpent)) throw error;
      }
    }
  };
  expect(steps(2000)).toBeLessThan(2.5 * steps(1000));
  expect(steps(2000)).toBeLessThan(40_000);
});

test.each([
  '(?:){4294967295}',
  '(?:(?:(?:){1000000000}){1000000000}a{0}){1000000000,}',
  '(?:a{0}){1000000000}b',
])('what is empty can be repeated %s times without any work for each', (source) => {
  expect(LinearPattern.compile(source).stateCount).toBeLessThan(10);
  expect(matches(source, 'ab')).toBe(true);
});
