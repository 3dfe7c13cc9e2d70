import { afterAll, describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readEnvFile } from '../../../src/utils/env-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'atlas-env-'));
afterAll(() => rmSync(folder, { recursive: true }));

function read(content: string | Uint8Array) {
  writeFileSync(join(folder, '.env'), content);
  return readEnvFile(join(folder, '.env'));
}

const TEXT = 'API_PORT=9000\nLOG_LEVEL=debug\n';
const VALUES = { API_PORT: '9000', LOG_LEVEL: 'debug' };
const utf16 = (text: string) => Buffer.from(text, 'utf16le');

test('a file that does not exist is empty', () => {
  expect(readEnvFile(join(folder, 'nothing'))).toEqual({ values: {}, unassigned: [] });
});

describe('a file in UTF-8', () => {
  test('is read, with a byte order mark or without', () => {
    expect(read(TEXT).values).toEqual(VALUES);
    expect(read(`\uFEFF${TEXT}`).values).toEqual(VALUES);
    expect(read(TEXT.replaceAll('\n', '\r\n')).values).toEqual(VALUES);
    expect(read('S3_BUCKET=käse').values).toEqual({ S3_BUCKET: 'käse' });
  });
});

describe('a file that is not', () => {
  test.each([
    ['UTF-16 as Windows writes it', Buffer.concat([Buffer.from([0xff, 0xfe]), utf16(TEXT)]), /UTF-16$/m],
    [
      'UTF-16 in the other byte order',
      Buffer.concat([Buffer.from([0xfe, 0xff]), utf16(TEXT).swap16()]),
      /UTF-16$/m,
    ],
    ['UTF-16 without a byte order mark', utf16(TEXT), /UTF-16 without a byte order mark/],
    ['Latin-1', Buffer.from('S3_BUCKET=käse', 'latin1'), /Latin-1/],
  ])('is refused with why and what to do: %s', (_, bytes, why) => {
    expect(() => read(bytes)).toThrow(/is not UTF-8\.\n {2}why: {2}.*\n {2}do: {3}save it as UTF-8/);
    expect(() => read(bytes)).toThrow(new RegExp(why.source.replace('$', ',')));
  });
});

test('a folder instead of a file is refused with why and what to do', () => {
  mkdirSync(join(folder, 'folder'));
  expect(() => readEnvFile(join(folder, 'folder'))).toThrow(
    /cannot be read\.\n {2}why: {2}EISDIR.*\n {2}do: /,
  );
});

test('a line without "=" is found', () => {
  const text =
    'API_PORT 9000\nLOG_LEVEL: debug\n# API_HOST x\nHTTP_TIMEOUT = 5\nexport API_WORKERS 2\nAPI_HOST\n';
  expect(read(text)).toEqual({
    // A colon is allowed.
    values: { HTTP_TIMEOUT: '5', LOG_LEVEL: 'debug' },
    unassigned: ['API_PORT', 'API_WORKERS'],
  });
});
