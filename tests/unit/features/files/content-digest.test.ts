import { expect, test } from 'bun:test';
import { DIGEST_FIELD, digestOf, readDigest } from '../../../../src/features/files/content-digest.ts';

const HEX = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const FIELD = 'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:';

test('a SHA-256 is formatted as in RFC 9530, and parsed again', () => {
  expect(digestOf(HEX)).toBe(FIELD);
  expect(DIGEST_FIELD.test(FIELD)).toBe(true);
  expect(readDigest(FIELD)).toBe(HEX);
});

test.each([
  [`sha-512=:YWJj:, ${FIELD}`, HEX],
  [`${FIELD},unixsum=:MDA=:`, HEX],
  ['sha-512=:YWJj:', null],
])('of %j the SHA-256 is used', (field, digest) => {
  expect(DIGEST_FIELD.test(field)).toBe(true);
  expect(readDigest(field)).toBe(digest);
});

test('without a field there is no digest', () => {
  expect(readDigest(undefined)).toBeNull();
});

test.each(['', 'sha-256', 'sha-256=abc', 'sha-256=:YWJj:', 'sha-256=:****:', `${FIELD}x`, `${FIELD},`, HEX])(
  '%j is not a digest field',
  (field) => {
    expect(DIGEST_FIELD.test(field)).toBe(false);
  },
);
