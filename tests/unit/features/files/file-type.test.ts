import { describe, expect, test } from 'bun:test';
import { declaredType, FILE_TYPES, SNIFFED_BYTES, typeOf } from '../../../../src/features/files/file-type.ts';
import { refusalOf } from '../../../support/refusal.ts';

const DOCX = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document';
const latin = (text: string) => Buffer.from(text, 'latin1');

/** The head of an archive whose first entry has this name. */
function archive(name: string): Buffer {
  const head = Buffer.alloc(30);
  head.write('PK\x03\x04', 'latin1');
  head.writeUInt16LE(name.length, 26);
  return Buffer.concat([head, latin(name), Buffer.alloc(50)]);
}

describe('the bytes', () => {
  test.each([
    ['%PDF-1.7\n%\xe2\xe3', 'application/pdf'],
    ['\x89PNG\r\n\x1a\n\0\0\0\rIHDR', 'image/png'],
    ['\xff\xd8\xff\xe0\0\x10JFIF', 'image/jpeg'],
    ['GIF89a\x01\0', 'image/gif'],
    ['RIFF\x24\0\0\0WEBPVP8 ', 'image/webp'],
    ['\x1f\x8b\x08\0', 'application/gzip'],
    ['\x28\xb5\x2f\xfd\x04', 'application/zstd'],
    ['PK\x03\x04\x14\0', 'application/zip'],
    [`PK\x05\x06${'\0'.repeat(18)}`, 'application/zip'],
    ['a,b\r\n1,2\r\n', 'text/plain'],
    ['1 < 2', 'text/plain'],
    ['{"a": 1}', 'text/plain'],
  ])('%j are %s', (text, type) => {
    expect(typeOf(latin(text), '')).toBe(type);
    expect(typeOf(latin(text), type)).toBe(type);
  });

  test.each([
    ['a program', '\x7fELF\x02\x01\x01\0'],
    ['a Windows program', 'MZ\x90\0\x03'],
    ['an HTML page', '<!DOCTYPE html><p>'],
    ['an HTML page after whitespace', '\n\t <HTML>'],
    ['an HTML page after a byte order mark', '\xef\xbb\xbf<script>'],
    ['a comment', '<!-- -->'],
    ['an SVG image', '<svg xmlns="http://www.w3.org/2000/svg">'],
    ['XML', '<?xml version="1.0"?>'],
    ['text with NUL', 'abc\0def'],
    ['text with other control characters', 'abc\x01'],
    ['Latin-1', 'Zo\xeb'],
    ['UTF-16', '\xff\xfea\0b\0'],
    ['RIFF of another kind', 'RIFF\x24\0\0\0WAVEfmt '],
    ['nothing', ''],
  ])('of %s are refused, whatever is declared', (_what, text) => {
    for (const declared of ['', 'text/plain', 'application/pdf', 'application/zip'])
      expect(refusalOf(() => typeOf(latin(text), declared)).code).toBe('file_type_refused');
  });

  test('decide, and a declaration that disagrees is rejected', () => {
    for (const declared of FILE_TYPES.filter((type) => type !== 'application/pdf'))
      expect(refusalOf(() => typeOf(latin('%PDF-1.7'), declared)).code).toBe('file_type_refused');
  });

  test('of text may be CSV, and JSON if they look like it', () => {
    expect(typeOf(Buffer.from('a;b'), 'text/csv')).toBe('text/csv');
    for (const json of ['{"a":1}', ' [1]', '"text"', '-1', 'null', '\uFEFF{}'])
      expect(typeOf(Buffer.from(json), 'application/json')).toBe('application/json');
    expect(refusalOf(() => typeOf(Buffer.from('a,b'), 'application/json')).code).toBe('file_type_refused');
  });

  test('of an archive are an Office document only if it starts like one', () => {
    for (const name of ['[Content_Types].xml', '_rels/.rels', 'word/document.xml'])
      expect(typeOf(archive(name), DOCX)).toBe(DOCX);
    expect(refusalOf(() => typeOf(archive('payload.exe'), DOCX)).code).toBe('file_type_refused');
    expect(typeOf(archive('payload.exe'), 'application/zip')).toBe('application/zip');
  });

  test('may end in the middle of a character at the end of the head', () => {
    const text = Buffer.from(`${'a'.repeat(SNIFFED_BYTES - 1)}€`);
    expect(typeOf(text, '')).toBe('text/plain');
    // Later bytes are not inspected: the file is served with the type of its head, and never executed.
    expect(typeOf(Buffer.concat([Buffer.alloc(SNIFFED_BYTES, 'a'), Buffer.alloc(10)]), '')).toBe(
      'text/plain',
    );
  });
});

describe('a Content-Type', () => {
  test.each([
    [null, ''],
    ['', ''],
    ['application/octet-stream', ''],
    ['Image/JPG', 'image/jpeg'],
    ['text/csv; charset=UTF-8; header=present', 'text/csv'],
    ['text/plain;charset="utf-8"', 'text/plain'],
    ['application/x-zip-compressed', 'application/zip'],
  ])('%j declares %j', (header, type) => {
    expect(declaredType(header)).toBe(type);
  });

  test.each([
    'text/html',
    'image/svg+xml',
    'application/javascript',
    'text/xml',
    'application/x-www-form-urlencoded',
    'text/plain; charset=utf-16',
    'nonsense',
    `text/${'x'.repeat(5000)}`,
  ])('%j is rejected, and the error lists the accepted types', (header) => {
    const { code, message } = refusalOf(() => declaredType(header));
    expect(code).toBe('file_type_refused');
    expect(message).toContain('application/pdf');
    expect(message.length).toBeLessThan(1000);
  });
});
