import { expect, test } from 'bun:test';
import { KafkaOffsetHints } from '../../../../src/adapters/kafka/kafka-offset-hints.ts';

/** A commit that records what it is given, and is settled by the test. */
function commits() {
  const requests: { readonly offsets: [number, number][]; readonly settle: PromiseWithResolvers<void> }[] =
    [];
  const hints = new KafkaOffsetHints((offsets) => {
    const settle = Promise.withResolvers<void>();
    requests.push({ offsets: [...offsets], settle });
    return settle.promise;
  });
  return { hints, offsets: () => requests.map((each) => each.offsets), last: () => requests.at(-1)!.settle };
}

test('commits one request at a time, and then the latest offset of each partition', async () => {
  const { hints, offsets, last } = commits();
  hints.add(0, 10);
  hints.add(0, 11);
  hints.add(1, 5);
  hints.add(0, 12);
  expect(offsets()).toEqual([[[0, 10]]]);
  last().resolve();
  await Bun.sleep(0);
  expect(offsets()).toEqual([
    [[0, 10]],
    [
      [0, 12],
      [1, 5],
    ],
  ]);
  last().resolve();
  await Bun.sleep(0);
  hints.add(1, 6);
  expect(offsets().at(-1)).toEqual([[1, 6]]);
});

test('continues after a failed commit', async () => {
  const { hints, offsets, last } = commits();
  hints.add(0, 1);
  last().reject(new Error('not the leader'));
  await Bun.sleep(0);
  hints.add(0, 2);
  expect(offsets()).toEqual([[[0, 1]], [[0, 2]]]);
});

test('commits nothing more once it is closed, not even what was waiting', async () => {
  const { hints, offsets, last } = commits();
  hints.add(0, 1);
  hints.add(0, 2);
  hints.close();
  last().resolve();
  await Bun.sleep(0);
  hints.add(0, 3);
  await Bun.sleep(0);
  expect(offsets()).toEqual([[[0, 1]]]);
});
