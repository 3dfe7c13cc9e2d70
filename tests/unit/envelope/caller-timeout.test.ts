import { describe, expect, test } from 'bun:test';
import { callerTimeoutMs } from '../../../src/envelope/caller-timeout.ts';

describe('the timeout of the caller', () => {
  const both = (grpc: string, envoy: string) => ({
    'grpc-timeout': grpc,
    'x-envoy-expected-rq-timeout-ms': envoy,
  });
  test.each<[string, Record<string, string>, number]>([
    ['without headers', {}, Number.POSITIVE_INFINITY],
    ['in hours', { 'grpc-timeout': '2H' }, 7_200_000],
    ['in minutes', { 'grpc-timeout': '3M' }, 180_000],
    ['in seconds', { 'grpc-timeout': '4S' }, 4000],
    ['in milliseconds', { 'grpc-timeout': '150m' }, 150],
    ['in microseconds', { 'grpc-timeout': '1500u' }, 1.5],
    ['in nanoseconds', { 'grpc-timeout': '2000000n' }, 2],
    ['at most', { 'grpc-timeout': '99999999S' }, 99_999_999_000],
    ['in milliseconds from Envoy', { 'x-envoy-expected-rq-timeout-ms': '250' }, 250],
    ['is the smaller, from Envoy', both('1S', '250'), 250],
    ['is the smaller, from gRPC', both('100m', '250'), 100],
  ])('is read %s', (_, headers, expected) => {
    expect(callerTimeoutMs(new Headers(headers))).toBeCloseTo(expected, 6);
  });

  test.each(['', '5', 'S', '-5S', '1.5S', '123456789S', '5s', '5S junk', 'Infinity'])(
    'ignores a malformed grpc-timeout: %p',
    (value) => {
      expect(callerTimeoutMs(new Headers({ 'grpc-timeout': value }))).toBe(Number.POSITIVE_INFINITY);
    },
  );

  // Envoy sends 0 for "no timeout".
  test.each(['', '0', '-1', '1e3', '1.5', 'abc', '1234567890'])(
    'ignores an invalid x-envoy-expected-rq-timeout-ms: %p',
    (value) => {
      const headers = new Headers({ 'x-envoy-expected-rq-timeout-ms': value });
      expect(callerTimeoutMs(headers)).toBe(Number.POSITIVE_INFINITY);
    },
  );
});
