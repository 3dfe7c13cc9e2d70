import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import {
  canonicalRate,
  isAboveZero,
  type Quote,
  type QuoteFault,
  quote,
  RATE,
  ROUNDINGS,
  type Rounding,
} from '../../../../src/features/ledger/exchange.ts';
import { AMOUNT_MINOR_MAX } from '../../../../src/utils/money.ts';

const isRate = (text: string) => RATE.test(text) && isAboveZero(text);
const rate = fc
  .tuple(
    fc.bigInt({ min: 0n, max: 999_999_999n }),
    fc.bigInt({ min: 0n, max: 10n ** 12n - 1n }),
    fc.nat({ max: 12 }),
  )
  .map(([whole, fraction, digits]) => {
    const text = fraction.toString().padStart(12, '0').slice(0, digits);
    return text === '' ? `${whole}` : `${whole}.${text}`;
  })
  .filter((text) => isRate(text));
const amount = fc.oneof(fc.integer({ min: 1, max: 2000 }), fc.integer({ min: 1, max: AMOUNT_MINOR_MAX }));
const rounding = fc.constantFrom(...ROUNDINGS);

const SCALE = 10n ** 12n;
const scaled = (text: string) => {
  const [whole, fraction = ''] = text.split('.');
  return BigInt(whole!) * SCALE + BigInt(fraction.padEnd(12, '0'));
};
/** Whether a rounded amount is what an exact fraction rounds to, by the definition of each rounding. */
function isRounded(rounded: number, dividend: bigint, divisor: bigint, how: Rounding): boolean {
  const lost = dividend - BigInt(rounded) * divisor;
  const twice = lost < 0n ? -2n * lost : 2n * lost;
  if (how === 'down') return lost >= 0n && lost < divisor;
  if (how === 'up') return lost <= 0n && -lost < divisor;
  if (twice !== divisor) return twice < divisor;
  return how === 'half_up' ? lost < 0n : rounded % 2 === 0;
}
const isQuote = (found: Quote | QuoteFault): found is Quote => 'fixedSide' in found;

describe('the amount that is computed', () => {
  test('is the exact one, rounded once, whatever the amounts, rates, and roundings are', () => {
    let quotes = 0;
    fc.assert(
      fc.property(amount, rate, rounding, (given, at, how) => {
        const forth = quote({ sourceAmount: given, rate: at, rounding: how });
        if (isQuote(forth)) {
          quotes++;
          expect(forth).toMatchObject({ sourceAmount: given, fixedSide: 'source' });
          expect(isRounded(forth.targetAmount, BigInt(given) * scaled(at), SCALE, how)).toBe(true);
        } else expect(forth.member).toBe('targetAmount');
        const back = quote({ targetAmount: given, rate: at, rounding: how });
        if (isQuote(back)) {
          expect(back).toMatchObject({ targetAmount: given, fixedSide: 'target' });
          expect(isRounded(back.sourceAmount, BigInt(given) * SCALE, scaled(at), how)).toBe(true);
        } else expect(back.member).toBe('sourceAmount');
      }),
      { numRuns: 2000 },
    );
    expect(quotes).toBeGreaterThan(100);
  });

  test('agrees with both amounts, whichever of them was computed, and with no other', () => {
    fc.assert(
      fc.property(amount, rate, rounding, fc.boolean(), (given, at, how, isSource) => {
        const request = { rate: at, rounding: how };
        const one = quote({ ...request, ...(isSource ? { sourceAmount: given } : { targetAmount: given }) });
        if (!isQuote(one)) return;
        const { sourceAmount, targetAmount } = one;
        expect(quote({ ...request, sourceAmount, targetAmount })).toMatchObject({
          sourceAmount,
          targetAmount,
        });
        const other = quote({ ...request, sourceAmount, targetAmount: targetAmount + 2 });
        if (!isQuote(other)) return;
        const { fixedSide, ...amounts } = other;
        const fixed = fixedSide === 'source' ? 'sourceAmount' : 'targetAmount';
        expect(quote({ ...request, [fixed]: amounts[fixed] })).toEqual(other);
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ['half_even', 5, '0.5', 2],
    ['half_even', 7, '0.5', 4],
    ['half_up', 5, '0.5', 3],
    ['down', 9, '0.3', 2],
    ['up', 7, '0.3', 3],
    ['up', 10, '0.3', 3],
  ] as const)('is rounded %s: %d × %s is %d', (how, sourceAmount, at, expected) => {
    expect(quote({ sourceAmount, rate: at, rounding: how })).toMatchObject({ targetAmount: expected });
  });

  test('is never 0 and never too large', () => {
    expect(quote({ sourceAmount: 1, rate: '0.5' })).toMatchObject({ member: 'targetAmount' });
    expect(quote({ sourceAmount: 1, rate: '0.000000000001', rounding: 'up' })).toMatchObject({
      targetAmount: 1,
    });
    expect(quote({ sourceAmount: AMOUNT_MINOR_MAX, rate: '1' })).toMatchObject({
      targetAmount: AMOUNT_MINOR_MAX,
    });
    expect(quote({ sourceAmount: AMOUNT_MINOR_MAX, rate: '1.000000000001' })).toMatchObject({
      member: 'targetAmount',
    });
    expect(quote({ rate: '1' })).toMatchObject({ member: 'sourceAmount' });
  });
});

test('equal rates have equal texts', () => {
  expect(['1.50', '10', '0.10', '1.000', '100.0'].map(canonicalRate)).toEqual([
    '1.5',
    '10',
    '0.1',
    '1',
    '100',
  ]);
});

test('a rate is a plain decimal number above 0', () => {
  for (const text of ['1', '0.000000000001', '999999999.999999999999'])
    expect([text, isRate(text)]).toEqual([text, true]);
  for (const text of [
    '0',
    '0.0',
    '-1',
    '+1',
    '1.',
    '.5',
    '01',
    '1e3',
    '1,5',
    '١',
    '1000000000',
    '0.0000000000001',
    '1\n',
  ])
    expect([text, isRate(text)]).toEqual([text, false]);
});
