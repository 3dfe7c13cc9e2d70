import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { HEAD_SIZE_BYTES_MAX, readResponseHead } from '../../../src/utils/response-head.ts';

const ANSWER = 'HTTP/1.1 503 Service Unavailable\r\nServer: x\r\nretry-after:  120 \r\n\r\nbody\r\n\r\n';

test('the status and Retry-After are read, whatever follows', () => {
  expect(readResponseHead(ANSWER)).toEqual({ status: 503, retryAfter: '120' });
  expect(readResponseHead('HTTP/1.0 204\r\n\r\n')).toEqual({ status: 204, retryAfter: null });
});

test('an answer that is cut anywhere in its head is not read yet', () => {
  for (let length = 0; length < ANSWER.indexOf('\r\n\r\n') + 4; length++)
    expect(readResponseHead(ANSWER.slice(0, length))).toBeNull();
});

test('interim answers are passed over, a switch of protocols is not', () => {
  const interim = 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nRetry-After: 1\r\n\r\n';
  expect(readResponseHead(interim)).toBeNull();
  expect(readResponseHead(`${interim}HTTP/1.1 200 OK\r\n\r\n`)).toEqual({ status: 200, retryAfter: null });
  expect(readResponseHead('HTTP/1.1 101 Switching Protocols\r\n\r\n')?.status).toBe(101);
});

test.each([
  ['what is no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
  ['HTTP/2', 'HTTP/2 200\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 99 Low\r\n\r\n'],
  ['a status of four digits', 'HTTP/1.1 2000 High\r\n\r\n'],
  ['a status of letters', 'HTTP/1.1 abc\r\n\r\n'],
])('%s is refused', (_what, text) => {
  expect(() => readResponseHead(text)).toThrow();
});

test('a head without end is refused', () => {
  const long = `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(HEAD_SIZE_BYTES_MAX)}`;
  expect(() => readResponseHead(long)).toThrow('too long');
  expect(() => readResponseHead(`${long}\r\n\r\n`)).toThrow('too long');
  const endless = 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(HEAD_SIZE_BYTES_MAX);
  expect(() => readResponseHead(endless)).toThrow('too long');
});

test('interim answers without end, and spaces in a header, take no time', () => {
  expect(() => readResponseHead('HTTP/1.1 100 Continue\r\n\r\n'.repeat(10))).toThrow('too long');
  const spaces = ' '.repeat(HEAD_SIZE_BYTES_MAX - 100);
  // Each of these once took a third of a second, in which nobody was served.
  for (let i = 0; i < 300; i++)
    expect(readResponseHead(`HTTP/1.1 503 x\r\nRetry-After: ${i}${spaces}x\r\n\r\n`)?.status).toBe(503);
});

test('no bytes make it do anything else than answer or refuse', () => {
  fc.assert(
    fc.property(fc.string(), fc.boolean(), (text, begins) => {
      try {
        const head = readResponseHead(begins ? `HTTP/1.1 200 ${text}\r\n\r\n` : text);
        expect(head === null || head.status >= 101).toBe(true);
      } catch (error) {
        expect(String(error)).toMatch(/too long|not valid HTTP/);
      }
    }),
  );
});
