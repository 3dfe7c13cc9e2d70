import { expect, test } from 'bun:test';
import { smooth } from '../../../src/utils/smooth.ts';

test('the average moves toward the sample by its weight', () => {
  expect(smooth(10, 20, 0.25)).toBe(12.5);
  expect(smooth(10, 0, 0.5)).toBe(5);
});

test('a weight of 1 takes the sample, and a weight of 0 keeps the average', () => {
  expect(smooth(10, 20, 1)).toBe(20);
  expect(smooth(10, 20, 0)).toBe(10);
});
