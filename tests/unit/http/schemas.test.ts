import { describe, expect, test } from 'bun:test';
import { z } from '@hono/zod-openapi';
import {
  AmountSchema,
  LedgerSchema,
  MetadataSchema,
  pageQuerySchema,
  textSchema,
  UuidSchema,
} from '../../../src/http/schemas.ts';

const accepts = (schema: z.ZodType, value: unknown) => schema.safeParse(value).success;

describe('an ID', () => {
  test('is any UUID, converted to lowercase', () => {
    expect(UuidSchema.parse('0198C0DE-0000-7000-8000-00000000ABCD')).toBe(
      '0198c0de-0000-7000-8000-00000000abcd',
    );
    expect(accepts(UuidSchema, '00000000-0000-0000-0000-000000000000')).toBe(true);
    expect(accepts(UuidSchema, 'ffffffff-ffff-ffff-ffff-ffffffffffff')).toBe(true);
  });

  test.each([
    '',
    '1',
    '{0198c0de-0000-7000-8000-000000000001}',
    '0198c0de00007000800000000000000001',
    '0198c0de-0000-7000-8000-00000000000g',
    ' 0198c0de-0000-7000-8000-000000000001',
    '0198c0de-0000-7000-8000-000000000001\n',
  ])('is not %p', (value) => {
    expect(accepts(UuidSchema, value)).toBe(false);
  });
});

describe('an amount', () => {
  test.each([1, 1250, Number.MAX_SAFE_INTEGER])('may be %d', (amount) => {
    expect(accepts(AmountSchema, amount)).toBe(true);
  });

  test.each([
    ['nothing', 0],
    ['negative', -1],
    ['half a unit', 0.5],
    ['almost a unit', 1.000000001],
    ['2^53', 2 ** 53],
    ['not a number', Number.NaN],
    ['infinite', Number.POSITIVE_INFINITY],
    ['a text', '1'],
    ['null', null],
    ['true', true],
    ['a list', [1]],
  ])('may not be %s', (_, amount) => {
    expect(accepts(AmountSchema, amount)).toBe(false);
  });
});

test('a ledger is three uppercase letters', () => {
  expect(accepts(LedgerSchema, 'EUR')).toBe(true);
  for (const ledger of ['eur', 'EU', 'EURO', 'E1R', 'ÉUR', '', 'EUR\n']) {
    expect(accepts(LedgerSchema, ledger)).toBe(false);
  }
});

test('text has at least one character, at most its maximum, and no NUL', () => {
  const schema = textSchema(5);
  for (const text of ['a', 'abcde', ' ', 'a\nb']) expect(accepts(schema, text)).toBe(true);
  for (const text of ['', 'abcdef', 'a\0b', 1, null]) expect(accepts(schema, text)).toBe(false);
});

describe('metadata', () => {
  const entries = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 'v']));

  test('has up to 50 entries of short text', () => {
    for (const metadata of [{}, { order: '4711' }, { empty: '' }, entries(50)]) {
      expect(MetadataSchema.parse(metadata)).toEqual(metadata);
    }
  });

  test.each<[string, unknown]>([
    ['has 51 entries', entries(51)],
    ['has an empty name', { '': 'v' }],
    ['has a name of 41 characters', { ['k'.repeat(41)]: 'v' }],
    ['has a value of 501 characters', { k: 'v'.repeat(501) }],
    ['has NUL in a name', { 'a\0b': 'v' }],
    ['has NUL in a value', { k: '\0' }],
    ['has a number', { k: 1 }],
    ['is nested', { k: { k: 'v' } }],
    ['is a list', ['v']],
  ])('is refused when it %s', (_, metadata) => {
    expect(accepts(MetadataSchema, metadata)).toBe(false);
  });
});

describe('the query of a list', () => {
  const schema = pageQuerySchema(z.string());

  test('has a default limit of 50', () => {
    expect(schema.parse({})).toEqual({ limit: 50 });
  });

  test('accepts a limit from 1 to 200', () => {
    expect(schema.parse({ limit: '1' }).limit).toBe(1);
    expect(schema.parse({ limit: '200', cursor: 'c' })).toEqual({ limit: 200, cursor: 'c' });
  });

  test.each([
    ['0'],
    ['201'],
    ['-1'],
    ['1.5'],
    ['1e2'],
    ['01'],
    [' 1'],
    [''],
    ['9'.repeat(400)],
    ['0x10'],
    [['1', '2']],
  ])('refuses the limit %p', (limit) => {
    expect(accepts(schema, { limit })).toBe(false);
  });

  test('rejects unknown parameters', () => {
    expect(accepts(schema, { offset: '1' })).toBe(false);
  });
});
