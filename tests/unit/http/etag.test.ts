import { describe, expect, test } from 'bun:test';
import { etagOf, expectedVersions, matchesEtag } from '../../../src/http/etag.ts';
import { refusalOf } from '../../support/refusal.ts';

test('the ETag of a version matches that version', () => {
  expect(etagOf(7)).toBe('"7"');
  expect(expectedVersions(etagOf(7))).toEqual([7]);
});

describe('If-Match', () => {
  test('may name several versions', () => {
    expect(expectedVersions('"3", "4"')).toEqual([3, 4]);
  });

  test('may be a star, which matches any version', () => {
    expect(expectedVersions(' * ')).toBe('any');
  });

  test.each(['W/"7"', '7', '"a"', '""', '"-1"', '"07"', '"1234567890123456"'])('never matches %s', (tag) => {
    expect(expectedVersions(tag)).toEqual([]);
    expect(expectedVersions(`${tag}, "7"`)).toEqual([7]);
  });

  test('is required', () => {
    expect(refusalOf(() => expectedVersions(undefined)).code).toBe('precondition_required');
  });
});

test('If-None-Match matches any of its tags', () => {
  for (const header of ['"a"', 'W/"a"', '"b", "a"', '*', ' * '])
    expect(matchesEtag(header, '"a"')).toBe(true);
  for (const header of [null, '', '"b"', 'a', '"A"']) expect(matchesEtag(header, '"a"')).toBe(false);
});
