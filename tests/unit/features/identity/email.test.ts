import { describe, expect, test } from 'bun:test';
import { normalizeEmail } from '../../../../src/features/identity/email.ts';

describe('an address', () => {
  test.each([
    ['Ada@Example.COM', 'ada@example.com'],
    ['ada+tag@example.com', 'ada+tag@example.com'],
    ["o'hara_1.x@sub.example.co", "o'hara_1.x@sub.example.co"],
    ['ada@localhost', 'ada@localhost'],
    ['ada@bücher.example', 'ada@xn--bcher-kva.example'],
    ['ada@BÜCHER.example', 'ada@xn--bcher-kva.example'],
    ['ada@ｅxample.com', 'ada@example.com'],
  ])('%j is stored as %j, however it is written', (text, email) => {
    expect(normalizeEmail(text)).toBe(email);
    expect(normalizeEmail(email)).toBe(email);
  });

  test.each([
    // A Kelvin sign becomes k in lower case, and a dotless ı becomes I in upper case.
    '\u212Aate@example.com',
    'm\u0131ke@example.com',
    'adа@example.com',
    'a\u0301da@example.com',
    'ada\u200b@example.com',
    'ada@exam\u200dple.com',
    'ada@exam\u00adple.com',
  ])('that only looks like another one is none: %j', (text) => {
    expect(normalizeEmail(text)).toBeNull();
  });

  test('of a domain that only looks like another one is another address', () => {
    expect(normalizeEmail('ada@exаmple.com')).toStartWith('ada@xn--');
  });

  test.each([
    '',
    'ada',
    '@example.com',
    'ada@',
    'a@b@example.com',
    ' ada@example.com',
    'ada@example.com ',
    'ada@exam ple.com',
    'ada\r\nBcc: x@example.com',
    'ada@example.com\r\nBcc: x',
    'ada\0@example.com',
    'ada@example.com\0',
    '"a b"@example.com',
    'ada@[127.0.0.1]',
    'ada@127.0.0.1',
    'ada@1',
    'ada@-a.com',
    'ada@a..com',
    'ada@example.com.',
    'ada@a%2ecom',
    'ada@a/b',
    'ada@a:25',
    `${'a'.repeat(65)}@example.com`,
    `ada@${'a'.repeat(64)}.com`,
    `ada@${'abcdefghi.'.repeat(26)}com`,
  ])('%j is none', (text) => expect(normalizeEmail(text)).toBeNull());
});
