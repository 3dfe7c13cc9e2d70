import { expect, test } from 'bun:test';
import { AbortReason } from '../../../src/envelope/exchange.ts';
import { securityHeaders } from '../../../src/envelope/security-headers.ts';
import { exchangeOf, now } from '../../support/exchange.ts';

const STRICT = "default-src 'none'; frame-ancestors 'none'";

test('every response forbids sniffing, framing, and scripts', () => {
  const { request, exchange } = exchangeOf();
  const { headers } = now(securityHeaders(false)(() => new Response('ok'))(request, exchange));
  expect(headers.get('x-content-type-options')).toBe('nosniff');
  expect(headers.get('content-security-policy')).toBe(STRICT);
});

test('so does an asynchronous response', async () => {
  const { request, exchange } = exchangeOf();
  const { headers } = await securityHeaders(false)(async () => new Response('ok'))(request, exchange);
  expect(headers.get('content-security-policy')).toBe(STRICT);
});

test('a page keeps its own policy', () => {
  const { request, exchange } = exchangeOf();
  const page = () => new Response('ok', { headers: { 'Content-Security-Policy': "script-src 'self'" } });
  const { headers } = now(securityHeaders(false)(page)(request, exchange));
  expect(headers.get('content-security-policy')).toBe("script-src 'self'");
  expect(headers.get('x-content-type-options')).toBe('nosniff');
});

test('HSTS is sent in production only', () => {
  const { request, exchange } = exchangeOf();
  const response = (hsts: boolean) => now(securityHeaders(hsts)(() => new Response('ok'))(request, exchange));
  expect(response(true).headers.get('strict-transport-security')).toMatch(/^max-age=\d{8}/);
  expect(response(false).headers.has('strict-transport-security')).toBe(false);
});

test('errors pass, whether thrown or rejected', async () => {
  const { request, exchange } = exchangeOf();
  const throwing = securityHeaders(true)(() => {
    throw new Error('thrown');
  });
  expect(() => throwing(request, exchange)).toThrow('thrown');
  const rejecting = securityHeaders(true)(() => Promise.reject(new Error('rejected')));
  await expect(Promise.resolve(rejecting(request, exchange))).rejects.toThrow('rejected');
});

test('the response to an aborted request has the headers too', () => {
  const { request, exchange } = exchangeOf();
  exchange.abort(new AbortReason('deadline'));
  const gone = () => new Response(null, { status: 504 });
  expect(now(securityHeaders(false)(gone)(request, exchange)).headers.get('x-content-type-options')).toBe(
    'nosniff',
  );
});
