import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { cursorSchema, linkNext, toHex } from '../../../src/http/cursor.ts';

const schema = cursorSchema(/^v[0-9a-f]{12}$/, (text) => Number.parseInt(text.slice(1), 16));

describe('a cursor', () => {
  test('parses back to its position', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 48 - 1 }), (position) => {
        expect(schema.parse(`v${toHex(position, 12)}`)).toBe(position);
      }),
      { numRuns: 200, seed: 7 },
    );
  });

  test.each([
    ['is empty', ''],
    ['is of another list', 'a000000000001'],
    ['is too short', 'v00000000001'],
    ['is too long', 'v0000000000001'],
    ['continues after a line break', 'v000000000001\n'],
  ])('is refused when it %s', (_, text) => {
    expect(schema.safeParse(text).success).toBe(false);
  });

  test('is the same in upper case', () => {
    expect(schema.parse('VABCDEFABCDEF')).toBe(schema.parse('vabcdefabcdef'));
  });

  test('is not parsed if its format is wrong', () => {
    let parsed = 0;
    const counting = cursorSchema(/^x$/, () => ++parsed);
    counting.safeParse('y');
    expect(parsed).toBe(0);
  });
});

test('hexadecimal digits have a fixed width, for numbers and bigints', () => {
  expect(toHex(0, 4)).toBe('0000');
  expect(toHex(255, 4)).toBe('00ff');
  expect(toHex(2n ** 52n, 14)).toBe('10000000000000');
});

describe('the link to the next page', () => {
  const linkFor = (url: string, cursor: string | null) => linkNext(url, cursor)?.Link;

  test('keeps the path and the query of the request, with only the new cursor', () => {
    expect(linkFor('http://atlas.test/v1/accounts?limit=2&cursor=old', 'new')).toBe(
      '</v1/accounts?limit=2&cursor=new>; rel="next"',
    );
  });

  test('names no host, which would be wrong behind a proxy', () => {
    expect(linkFor('http://atlas.test/v1/accounts', 'new')).toBe('</v1/accounts?cursor=new>; rel="next"');
  });

  test('is absent on the last page', () => {
    expect(linkFor('http://atlas.test/v1/accounts', null)).toBeUndefined();
  });
});
