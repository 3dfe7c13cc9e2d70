import { describe, expect, test } from 'bun:test';
import { isMailAddress, maskAddress, parseSender } from '../../../src/utils/mail-address.ts';

describe('a mail address', () => {
  test('is a dot-atom, an @, and a domain, of at most 64 and 254 characters', () => {
    const valid = [
      'a@b',
      'ada@example.com',
      "o'brien+tag@sub.example.co.uk",
      'a.b.c@1.example',
      'X_y@EXAMPLE.com',
    ];
    for (const text of [...valid, `${'a'.repeat(64)}@example.com`])
      expect({ text, is: isMailAddress(text) }).toEqual({ text, is: true });
  });

  test('is nothing that a header or a list could be made of', () => {
    const invalid = [
      '',
      '@',
      'a@',
      '@b',
      'a b@c',
      'a@b c',
      'a@b,c@d',
      'a@b;c',
      '<a@b>',
      'a@b\r\nBcc: c',
      'a@b\n',
      '\ta@b',
    ];
    const more = [
      'a..b@c',
      '.a@b',
      'a.@b',
      'a@b..c',
      'a@-b',
      'a@b-',
      'a@b_c',
      '"a"@b',
      'a(x)@b',
      'a@[1.2.3.4]',
      'a:b@c',
      'ä@b',
      'a@ü',
    ];
    for (const text of [...invalid, ...more, `${'a'.repeat(65)}@b`, `a@${'b.'.repeat(126)}bcd`])
      expect({ text, is: isMailAddress(text) }).toEqual({ text, is: false });
  });

  test('is masked but for its first character and its domain', () => {
    expect(maskAddress('ada.lovelace@example.com')).toBe('a…@example.com');
    expect(maskAddress('not an address')).toBe('…');
  });
});

describe('a sender', () => {
  test('is an address, with a name or without', () => {
    expect(parseSender('a@b.test')).toEqual({ name: '', address: 'a@b.test' });
    expect(parseSender('Atlas Münster <a@b.test>')).toEqual({ name: 'Atlas Münster', address: 'a@b.test' });
    expect(parseSender('<a@b.test>')).toEqual({ name: '', address: 'a@b.test' });
  });

  test('is nothing else', () => {
    for (const text of [
      '',
      'Atlas',
      'Atlas <a>',
      'Atlas <a@b.test> x',
      'A\nBcc: c <a@b.test>',
      'A "B" <a@b.test>',
      'a@b.test, c@d',
    ])
      expect({ text, sender: parseSender(text) }).toEqual({ text, sender: null });
  });
});
