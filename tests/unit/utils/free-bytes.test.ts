import { expect, test } from 'bun:test';
import { freeBytes } from '../../../src/utils/free-bytes.ts';

test('bytes that are freed are empty', () => {
  const bytes = new Uint8Array(1000);
  freeBytes(bytes);
  expect(bytes.byteLength).toBe(0);
});

test('bytes that share their memory are left as they are', () => {
  const whole = new Uint8Array([1, 2, 3, 4]);
  const part = whole.subarray(1, 3);
  freeBytes(part);
  expect([...whole]).toEqual([1, 2, 3, 4]);
  expect([...part]).toEqual([2, 3]);
  const shared = new Uint8Array(new SharedArrayBuffer(4));
  freeBytes(shared);
  expect(shared.byteLength).toBe(4);
});
