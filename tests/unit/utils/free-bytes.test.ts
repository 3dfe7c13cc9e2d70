import { expect, test } from 'bun:test';
import { freeBytes } from '../../../src/utils/free-bytes.ts';

test('a freed array is empty', () => {
  const bytes = new Uint8Array(1000);
  freeBytes(bytes);
  expect(bytes.byteLength).toBe(0);
});

test('an array that shares its buffer is unchanged', () => {
  const whole = new Uint8Array([1, 2, 3, 4]);
  const part = whole.subarray(1, 3);
  freeBytes(part);
  expect([...whole]).toEqual([1, 2, 3, 4]);
  expect([...part]).toEqual([2, 3]);
  const shared = new Uint8Array(new SharedArrayBuffer(4));
  freeBytes(shared);
  expect(shared.byteLength).toBe(4);
});
