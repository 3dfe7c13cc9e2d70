import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { HEAD_SIZE_BYTES_MAX, readResponseHead } from '../../../src/utils/response-head.ts';

const RESPONSE = 'HTTP/1.1 503 Service Unavailable\r\nServer: x\r\nretry-after:  120 \r\n\r\nbody\r\n\r\n';

test('the status and Retry-After are parsed, whatever follows', () => {
  expect(readResponseHead(RESPONSE)).toEqual({ status: 503, retryAfter: '120' });
  expect(readResponseHead('HTTP/1.0 204\r\n\r\n')).toEqual({ status: 204, retryAfter: null });
});

test('an incomplete head is not parsed yet', () => {
  for (let length = 0; length < RESPONSE.indexOf('\r\n\r\n') + 4; length++)
    expect(readResponseHead(RESPONSE.slice(0, length))).toBeNull();
});

test('interim responses are skipped, but 101 is final', () => {
  const interim = 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nRetry-After: 1\r\n\r\n';
  expect(readResponseHead(interim)).toBeNull();
  expect(readResponseHead(`${interim}HTTP/1.1 200 OK\r\n\r\n`)).toEqual({ status: 200, retryAfter: null });
  expect(readResponseHead('HTTP/1.1 101 Switching Protocols\r\n\r\n')?.status).toBe(101);
});

test.each([
  ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n'],
  ['HTTP/2', 'HTTP/2 200\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 99 Low\r\n\r\n'],
  ['a status of four digits', 'HTTP/1.1 2000 High\r\n\r\n'],
  ['a status of letters', 'HTTP/1.1 abc\r\n\r\n'],
])('%s is refused', (_what, text) => {
  expect(() => readResponseHead(text)).toThrow();
});

test('an endless head is refused', () => {
  const long = `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(HEAD_SIZE_BYTES_MAX)}`;
  expect(() => readResponseHead(long)).toThrow('too long');
  expect(() => readResponseHead(`${long}\r\n\r\n`)).toThrow('too long');
  const endless = 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(HEAD_SIZE_BYTES_MAX);
  expect(() => readResponseHead(endless)).toThrow('too long');
});

test('endless interim responses and long runs of spaces take no time', () => {
  expect(() => readResponseHead('HTTP/1.1 100 Continue\r\n\r\n'.repeat(10))).toThrow('too long');
  const spaces = ' '.repeat(HEAD_SIZE_BYTES_MAX - 100);
  // Each of these once blocked the event loop for a third of a second.
  for (let i = 0; i < 300; i++)
    expect(readResponseHead(`HTTP/1.1 503 x\r\nRetry-After: ${i}${spaces}x\r\n\r\n`)?.status).toBe(503);
});

test('any input is parsed or refused', () => {
  fc.assert(
    fc.property(fc.string(), fc.boolean(), (text, isHttp) => {
      try {
        const head = readResponseHead(isHttp ? `HTTP/1.1 200 ${text}\r\n\r\n` : text);
        expect(head === null || head.status >= 101).toBe(true);
      } catch (error) {
        expect(String(error)).toMatch(/too long|not valid HTTP/);
      }
    }),
  );
});
