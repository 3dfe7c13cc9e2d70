import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { allowsRange, readRange } from '../../../../src/features/files/content-range.ts';

describe('a Range', () => {
  test.each([
    [null, null],
    ['bytes=0-0', { first: 0, last: 0 }],
    ['bytes=0-99', { first: 0, last: 99 }],
    ['bytes=0-100', { first: 0, last: 99 }],
    ['bytes=99-', { first: 99, last: 99 }],
    ['bytes=-1', { first: 99, last: 99 }],
    ['bytes=-1000', { first: 0, last: 99 }],
    ['BYTES= 5-6 ', { first: 5, last: 6 }],
    ['bytes=100-', 'unsatisfiable'],
    ['bytes=100-200', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=9-5', null],
    ['bytes=-', null],
    ['bytes=', null],
    ['bytes=0-1,3-4', null],
    ['bytes=0x1-2', null],
    ['bytes=1-2-3', null],
    ['bytes=-1-2', null],
    ['bytes=1.5-2', null],
    ['bytes=9999999999999999-', null],
    ['items=0-1', null],
  ])('%j of 100 bytes is %j', (header, range) => {
    expect(readRange(header, 100)).toEqual(range as never);
  });

  test('always lies within the file', () => {
    const position = fc.oneof(fc.constant(''), fc.nat(200).map(String));
    fc.assert(
      fc.property(position, position, fc.integer({ min: 1, max: 150 }), (from, to, sizeBytes) => {
        const range = readRange(`bytes=${from}-${to}`, sizeBytes);
        if (range === null || range === 'unsatisfiable') return;
        expect(range.first).toBeGreaterThanOrEqual(0);
        expect(range.last).toBeGreaterThanOrEqual(range.first);
        expect(range.last).toBeLessThan(sizeBytes);
      }),
    );
  });
});

test('If-Range allows a range for the exact version only', () => {
  expect(allowsRange(null, '"a"')).toBe(true);
  expect(allowsRange(' "a" ', '"a"')).toBe(true);
  for (const other of ['"b"', 'W/"a"', 'a', '', '"a", "b"', 'Sat, 21 Nov 2026 10:00:00 GMT'])
    expect(allowsRange(other, '"a"')).toBe(false);
});
