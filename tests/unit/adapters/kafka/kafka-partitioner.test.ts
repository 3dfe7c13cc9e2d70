import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { Partitioners } from 'kafkajs';
import { partitionOf } from '../../../../src/adapters/kafka/kafka-partitioner.ts';

test('a key gets the same partition as from the default partitioner of Kafka', () => {
  const theirs = Partitioners.DefaultPartitioner();
  const metadata = (count: number) =>
    Array.from({ length: count }, (_, partitionId) => ({ partitionId, leader: 1 }) as never);
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.integer({ min: 1, max: 64 }),
      (key, count) => {
        const message = { key: Buffer.from(key), value: null };
        const expected = theirs({ topic: 't', partitionMetadata: metadata(count), message });
        expect(partitionOf(key, count)).toBe(expected);
      },
    ),
  );
});
