import { afterEach, beforeEach, expect, mock, spyOn, test } from 'bun:test';
import { PageReads } from '../../../../src/adapters/postgres/page-reads.ts';

const MIB = 1_048_576;

let clockMs = 0;
beforeEach(() => void spyOn(performance, 'now').mockImplementation(() => clockMs));
afterEach(() => mock.restore());

const page = (bytes: number) => [{ bytesSoFar: bytes / 2 }, { bytesSoFar: bytes }];

test('somebody reads fast after more than 1 MiB at once, until that would have taken its time', () => {
  const reads = new PageReads();
  reads.note('a', page(MIB));
  expect(reads.isFast('a')).toBe(false);
  reads.note('a', page(MIB));
  expect(reads.isFast('a')).toBe(true);
  expect(reads.isFast('b')).toBe(false);
  clockMs += 257;
  expect(reads.isFast('a')).toBe(false);
});

test('neither small pages nor what is no page are fast', () => {
  const reads = new PageReads();
  for (let i = 0; i < 100; i++) {
    reads.note('a', page(1000));
    reads.note('a', [{ id: 'x'.repeat(MIB) }]);
    reads.note('a', []);
    reads.note('a', undefined);
  }
  expect(reads.isFast('a')).toBe(false);
});
