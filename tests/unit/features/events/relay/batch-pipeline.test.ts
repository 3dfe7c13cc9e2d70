import { expect, test } from 'bun:test';
import { BatchPipeline, LeaseLost } from '../../../../../src/features/events/relay/batch-pipeline.ts';
import type { Unsent } from '../../../../../src/features/events/relay/domain.ts';
import type { Moved } from '../../../../../src/features/events/relay/repository.ts';

/** An outbox whose marks complete when the test says so. */
class Outbox {
  readonly rows: Unsent[] = [];
  readonly sent: number[] = [];
  readonly marked: number[][] = [];
  readonly open: PromiseWithResolvers<boolean>[] = [];
  readonly pipeline = new BatchPipeline({
    repository: {
      read: async (rowsMax, _, except = []) => {
        const rows = this.rows.filter(({ rowId }) => !except.includes(rowId));
        return { unsent: rows.slice(0, rowsMax), hasMore: rows.length >= rowsMax };
      },
      mark: async (_, rowIds) => {
        const ending = Promise.withResolvers<boolean>();
        this.open.push(ending);
        if (!(await ending.promise)) return null;
        this.marked.push([...rowIds]);
        this.rows.splice(0, rowIds.length);
        return { lastPosition: 0, sent: rowIds.length };
      },
      move: () => Promise.reject(new Error('a log with a publisher needs to read its events')),
    },
    epoch: 1,
    rowsMax: 2,
    withEvents: true,
    send: async (unsent) => {
      this.sent.push(...unsent.map(({ sequence }) => sequence));
      return [];
    },
    onMarked: () => {},
  });

  constructor(count: number) {
    for (let i = 0; i < count; i++)
      this.rows.push({ rowId: i, key: 'key', sequence: i, lastSent: null, isParked: false, event: null });
  }
}

test('the next batch is sent while the preceding one is marked, and skips its rows', async () => {
  const outbox = new Outbox(5);
  expect(await outbox.pipeline.step()).toBe(2);
  const second = outbox.pipeline.step();
  await Promise.resolve();
  outbox.open[0]!.resolve(true);
  expect(await second).toBe(2);
  expect(outbox.sent).toEqual([0, 1, 2, 3]);
  const third = outbox.pipeline.step();
  outbox.open[1]!.resolve(true);
  expect(await third).toBe(1);
  outbox.open[2]!.resolve(true);
  await outbox.pipeline.settle();
  expect(outbox.marked).toEqual([[0, 1], [2, 3], [4]]);
  expect(outbox.sent).toEqual([0, 1, 2, 3, 4]);
});

test('no second mark starts before the first has finished', async () => {
  const outbox = new Outbox(4);
  await outbox.pipeline.step();
  const second = outbox.pipeline.step();
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  expect(outbox.open).toHaveLength(1);
  outbox.open[0]!.resolve(true);
  await second;
  expect(outbox.open).toHaveLength(2);
});

test('a rejected mark ends the pipeline: nothing after it is marked', async () => {
  const outbox = new Outbox(4);
  await outbox.pipeline.step();
  const second = outbox.pipeline.step();
  outbox.open[0]!.resolve(false);
  await expect(second).rejects.toBeInstanceOf(LeaseLost);
  expect(outbox.marked).toEqual([]);
  expect(outbox.open).toHaveLength(1);
  await outbox.pipeline.settle();
});

test('with nothing to send, it settles the batch it has sent', async () => {
  const outbox = new Outbox(2);
  await outbox.pipeline.step();
  outbox.open[0]!.resolve(true);
  expect(await outbox.pipeline.step()).toBe(0);
  expect(outbox.marked).toEqual([[0, 1]]);
});

/** A log without a publisher, where a batch moves unless the next result is null. */
function movingPipeline(results: (Moved | null)[]) {
  const calls: string[] = [];
  const counted: number[] = [];
  const pipeline = new BatchPipeline({
    repository: {
      move: async () => {
        calls.push('move');
        return results.shift()!;
      },
      read: async () => {
        calls.push('read');
        const row = { rowId: 1, key: 'key', sequence: 7, lastSent: 5, isParked: false, event: null };
        return { unsent: [row], hasMore: false };
      },
      mark: async () => {
        calls.push('mark');
        return { lastPosition: 9, sent: 0 };
      },
    },
    epoch: 1,
    rowsMax: 2,
    withEvents: false,
    send: async () => [],
    onMarked: ({ sent }) => counted.push(sent),
  });
  return { pipeline, calls, counted };
}

test('without a publisher, a batch moves in one query', async () => {
  const { pipeline, calls, counted } = movingPipeline([{ lastPosition: 4, moved: 2, sent: 4 }]);
  expect(await pipeline.step()).toBe(2);
  expect(calls).toEqual(['move']);
  expect(counted).toEqual([4]);
});

test('a batch that cannot move is read, so that its poison is parked', async () => {
  const { pipeline, calls } = movingPipeline([{ lastPosition: 4, moved: null, sent: 0 }]);
  expect(await pipeline.step()).toBe(1);
  await pipeline.settle();
  expect(calls).toEqual(['move', 'read', 'mark']);
});

test('a move that finds a newer relay ends the pipeline', async () => {
  const { pipeline } = movingPipeline([null]);
  await expect(pipeline.step()).rejects.toBeInstanceOf(LeaseLost);
});
