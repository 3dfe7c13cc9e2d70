import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { attachmentOf, dispositionFileName, safeFileName } from '../../../../src/features/files/file-name.ts';

describe('a name', () => {
  test.each([
    ['report.pdf', 'report.pdf'],
    ['Übersicht für 2026.csv', 'Übersicht für 2026.csv'],
    ['🏦 e\u0301.txt', '🏦 é.txt'],
    ['../../etc/passwd', 'passwd'],
    ['C:\\Users\\me\\a.txt', 'a.txt'],
    ['/', 'file'],
    ['', 'file'],
    ['..', 'file'],
    ['.htaccess', 'htaccess'],
    ['a\r\nSet-Cookie: b.txt', 'aSet-Cookie_ b.txt'],
    ['a\0b', 'ab'],
    ['invoice\u202Efdp.exe', 'invoicefdp.exe'],
    ['\u200Ea\uFEFFb\u2066', 'ab'],
    ['a<b>c:d"e|f?g*h', 'a_b_c_d_e_f_g_h'],
    ['nul', '_nul'],
    ['COM1.txt', '_COM1.txt'],
    ['console.txt', 'console.txt'],
    ['a\ud800b', 'a\ufffdb'],
    ['  spaced.txt. ', 'spaced.txt'],
  ])('%j becomes %j', (given, safe) => {
    expect(safeFileName(given)).toBe(safe);
  });

  test('that is too long loses its middle, not its extension, and never half a character', () => {
    const long = safeFileName(`${'ü'.repeat(300)}.pdf`);
    expect(Buffer.byteLength(long)).toBeLessThanOrEqual(255);
    expect(long).toMatch(/^ü{120,}\.pdf$/);
    expect(Buffer.byteLength(safeFileName('🏦'.repeat(300)))).toBe(252);
  });

  test('is made safe in linear time, however long it is', () => {
    for (const part of ['.', ' ', '\u0301\u0323', '/', '\u200e', '<', 'ü'])
      expect(safeFileName(`a${part.repeat(400_000)}b.pdf`)).toEndWith('.pdf');
  });

  test('is safe whatever the input, and stable when sanitized again', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (given) => {
        const safe = safeFileName(given);
        expect(safe).not.toMatch(/[/\\\p{Cc}"<>:|?*\u202A-\u202E\u2066-\u2069]|^[\s.]|[\s.]$/u);
        expect(Buffer.byteLength(safe)).toBeGreaterThan(0);
        expect(Buffer.byteLength(safe)).toBeLessThanOrEqual(255);
        expect(safe.isWellFormed()).toBe(true);
        expect(safeFileName(safe)).toBe(safe);
      }),
    );
  });
});

describe('a Content-Disposition', () => {
  test.each([
    [null, null],
    ['attachment', null],
    ['attachment; filename=plain.txt', 'plain.txt'],
    ['attachment; filename="with space.txt"', 'with space.txt'],
    ['attachment; filename="a\\"b\\\\c"', 'a"b\\c'],
    ["attachment; filename*=UTF-8''%e2%82%ac%20rates", '€ rates'],
    ['attachment; filename="EURO rates"; filename*=utf-8\'en\'%e2%82%ac%20rates', '€ rates'],
    ["attachment; filename*=UTF-8''%ff; filename=plain", 'plain'],
    ["attachment; filename*=ISO-8859-1''a%E4b", null],
    ['inline; FILENAME = x', 'x'],
    ['attachment; filename="never closed', null],
    // As they arrive: UTF-8 with one character for each byte, and Latin-1.
    ['attachment; filename="r\u00c3\u00a9sum\u00c3\u00a9.pdf"', 'résumé.pdf'],
    ['attachment; filename=\u00e2\u0082\u00ac.txt', '€.txt'],
    ['attachment; filename="\u00f0\u009f\u008f\u00a6 \\"a\\".txt"', '🏦 "a".txt'],
    ['attachment; filename="r\u00e9sum\u00e9.pdf"', 'résumé.pdf'],
    ['form-data; name="filename"; filename="b"', 'b'],
  ])('%j names %j', (header, name) => {
    expect(dispositionFileName(header)).toBe(name);
  });

  test('of a safe name can be parsed again, and never breaks out of its header', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 100 }), (given) => {
        const name = safeFileName(given);
        const header = attachmentOf(name);
        expect(header).toMatch(/^attachment; filename="[\x20-\x7e]*"; filename\*=UTF-8''[\w.!#$&+^`|~%-]+$/);
        expect(dispositionFileName(header)).toBe(name);
      }),
    );
  });
});
