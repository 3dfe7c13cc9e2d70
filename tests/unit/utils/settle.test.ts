import { expect, test } from 'bun:test';
import { settle } from '../../../src/utils/settle.ts';

test('a value is used immediately, without a promise', () => {
  expect(settle(1, (value) => value + 1)).toBe(2);
});

test('a promised value is used when it resolves', async () => {
  const { promise, resolve } = Promise.withResolvers<number>();
  const settled = settle(promise, (value) => value + 1);
  expect(settled).toBeInstanceOf(Promise);
  resolve(1);
  expect(await settled).toBe(2);
});

test('errors and rejections are passed on', async () => {
  const throwing = (): never => {
    throw new Error('thrown');
  };
  expect(() => settle(1, throwing)).toThrow('thrown');
  await expect(Promise.resolve(settle(Promise.resolve(1), throwing))).rejects.toThrow('thrown');
  let used = false;
  const use = () => {
    used = true;
  };
  await expect(Promise.resolve(settle(Promise.reject(new Error('rejected')), use))).rejects.toThrow(
    'rejected',
  );
  expect(used).toBe(false);
});
