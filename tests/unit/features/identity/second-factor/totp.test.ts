import { expect, test } from 'bun:test';
import { Secret, TOTP } from 'otpauth';
import {
  enrollmentOf,
  generateTotpSecret,
  stepOfCode,
} from '../../../../../src/features/identity/second-factor/totp.ts';

// RFC 6238, appendix B, for SHA-1: the last six of the eight digits.
const SECRET = Buffer.from('12345678901234567890');
const VECTORS = [
  [59, '287082'],
  [1_111_111_109, '081804'],
  [1_234_567_890, '005924'],
  [20_000_000_000, '353130'],
] as const;

test.each(VECTORS)('at %d s the code is that of RFC 6238', (seconds, code) => {
  expect(stepOfCode(SECRET, code, seconds * 1000)).toBe(Math.floor(seconds / 30));
});

test('the codes of one step before and after count, and no others', () => {
  const nowMs = 1_800_000_015_000;
  const step = nowMs / 1000 / 30 - 0.5;
  const codeAt = (steps: number) =>
    new TOTP({ secret: Secret.fromLatin1(SECRET.toString()) }).generate({
      timestamp: nowMs + steps * 30_000,
    });
  const steps = [-3, -2, -1, 0, 1, 2, 3].map((steps) => stepOfCode(SECRET, codeAt(steps), nowMs));
  expect(steps).toEqual([null, null, step - 1, step, step + 1, null, null]);
});

test.each(['', '28708', '2870820', ' 287082', '28708a', '２８７０８２', '94287082'])(
  '%p is no code',
  (code) => {
    expect(stepOfCode(SECRET, code, 59_000)).toBeNull();
  },
);

test('secrets have 160 bits, and are random', () => {
  const secrets = Array.from({ length: 100 }, () => Buffer.from(generateTotpSecret()).toString('hex'));
  expect(new Set(secrets).size).toBe(100);
  expect(secrets.every((secret) => secret.length === 40)).toBe(true);
});

test('the URI has what an authenticator app needs, and names the Atlas and the person', () => {
  const { uri, secret } = enrollmentOf(SECRET, 'a+b@example.com', 'https://atlas.example.com:8443');
  expect(secret).toBe('GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ');
  const { protocol, host, pathname, searchParams } = new URL(uri);
  expect([protocol, host]).toEqual(['otpauth:', 'totp']);
  expect(decodeURIComponent(pathname)).toBe('/Atlas (atlas.example.com):a+b@example.com');
  expect(Object.fromEntries(searchParams)).toEqual({
    issuer: 'Atlas (atlas.example.com)',
    secret,
    algorithm: 'SHA1',
    digits: '6',
    period: '30',
  });
});
