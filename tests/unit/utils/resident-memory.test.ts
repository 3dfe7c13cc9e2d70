import { expect, test } from 'bun:test';
import { residentMemory } from '../../../src/utils/resident-memory.ts';

test('memory that cannot be read is reported as it was last', () => {
  let isReadable = true;
  const read = residentMemory(() => {
    if (!isReadable) throw new Error('Failed to get memory usage');
    return 100;
  });
  expect(read()).toBe(100);
  isReadable = false;
  expect(read()).toBe(100);
});

test('the memory of this process is read', () => {
  expect(residentMemory()()).toBeGreaterThan(1_000_000);
});
