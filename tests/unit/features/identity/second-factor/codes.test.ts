import { expect, test } from 'bun:test';
import { makeRecoveryCodes, readCode } from '../../../../../src/features/identity/second-factor/codes.ts';

test('ten recovery codes of 120 bits each are made, all different, in groups', () => {
  const { codes, hashes } = makeRecoveryCodes();
  expect(codes).toHaveLength(10);
  expect(new Set(codes).size).toBe(10);
  for (const code of codes) expect(code).toMatch(/^(?:[0-9A-HJKMNP-TV-Z]{6}-){3}[0-9A-HJKMNP-TV-Z]{6}$/);
  expect(hashes.every((hash) => hash.length === 32)).toBe(true);
});

test('every bit of a recovery code is random: no character is always the same', () => {
  const all = Array.from({ length: 30 }, () => makeRecoveryCodes().codes).flat();
  for (let i = 0; i < all[0]!.length; i++) {
    const seen = new Set(all.map((code) => code[i]));
    // Of 300 draws from 32 letters, fewer than 25 different ones are all but impossible.
    if (all[0]![i] !== '-') expect(seen.size).toBeGreaterThan(24);
  }
});

test('a recovery code is found however it is typed', () => {
  const { codes, hashes } = makeRecoveryCodes();
  const [code, hash] = [codes[0]!, hashes[0]!];
  const typed = [code, code.toLowerCase(), code.replaceAll('-', ' '), ` ${code.replaceAll('-', '')} `];
  const similar = code.replaceAll('0', 'O').replaceAll('1', 'l');
  for (const text of [...typed, similar]) expect(readCode(text)).toEqual({ kind: 'recovery', hash });
});

test('a code of the app may have spaces', () => {
  expect(readCode('123 456')).toEqual({ kind: 'totp', code: '123456' });
});

test.each(['', '12345', '1234567', 'abc', '7K3M9Q-XW2PRT-0VHD5N-C8FJ4', '7K3M9Q-XW2PRT-0VHD5N-C8FJ4BU'])(
  '%p is no code',
  (text) => expect(readCode(text)).toBeNull(),
);
