import { describe, expect, test } from 'bun:test';
import { endOfNumber, numberFault } from '../../../src/envelope/json-number.ts';

/** Reads the number from the middle of a text. */
function faultOf(token: string) {
  const text = `[${token}]`;
  const end = endOfNumber(text, 1);
  expect(end).toBe(text.length - 1);
  return numberFault(text, 1, end);
}

describe('a number is refused if it', () => {
  test.each([
    ['is rounded up to a whole number', '99.99999999999999999', 'inexact'],
    ['is just below one', '0.99999999999999999999', 'inexact'],
    ['is just above one', '1.0000000000000000000000001', 'inexact'],
    ['is a negative one that is rounded', '-0.99999999999999999999', 'inexact'],
    ['vanishes', '1e-400', 'inexact'],
    ['vanishes, written in full', `0.${'0'.repeat(400)}1`, 'inexact'],
    ['is rounded with an exponent', '9999999999999999999e-17', 'inexact'],
    ['is rounded to a whole number with an exponent', '99999999999999999999e-20', 'inexact'],
    ['is 2^53+1', '9007199254740993', 'large'],
    ['is 2^53', '9007199254740992', 'large'],
    ['is −2^53', '-9007199254740992', 'large'],
    ['is rounded up to 2^53', '9007199254740991.7', 'large'],
    ['is rounded just below 2^53', '9007199254740990.7', 'inexact'],
    ['overflows', '1e309', 'large'],
    ['overflows by far', `1e${'9'.repeat(1000)}`, 'large'],
  ] as const)('%s', (_, token, kind) => {
    expect(faultOf(token)).toBe(kind);
  });

  test.each([
    '0',
    '-0',
    '0e999',
    '-0.0e-999',
    '1.0',
    '1e2',
    '1E+2',
    '100e-2',
    '1250.00',
    `1.${'0'.repeat(1000)}`,
    `0.${'0'.repeat(1000)}1e1001`,
    `1${'0'.repeat(1000)}e-1000`,
    '9007199254740991',
    '-9007199254740991.000',
    '9007199254740991e0',
    '0.1',
    '0.30000000000000004',
    '3.141592653589793238462643383279',
    '2.5e-10',
    '1e-300',
  ])('is exact, or stays a fraction: never %s', (token) => {
    expect(faultOf(token)).toBeNull();
  });

  test('a million digits are read in linear time', () => {
    for (const token of [
      '9'.repeat(1_000_000),
      `0.${'9'.repeat(1_000_000)}`,
      `0.${'0'.repeat(1_000_000)}`,
      `1.${'0'.repeat(999_999)}1`,
      `1e-${'0'.repeat(1_000_000)}`,
    ])
      faultOf(token);
  });
});
