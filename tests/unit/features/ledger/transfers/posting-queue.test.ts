import { expect, test } from 'bun:test';
import { PostingQueue, type Waiting } from '../../../../../src/features/ledger/transfers/posting-queue.ts';
import { requestOf } from '../../../../support/ledger-in-memory.ts';

const BATCH = 16;
const queueOf = (waitingItemsMax = 1000) => new PostingQueue({ batchItemsMax: BATCH, waitingItemsMax });

function waiting(owner: string, cost: number, key = owner): Waiting {
  const request = requestOf(key, cost, owner);
  return { owner, cost, request, resolve: () => {}, reject: () => {}, caller: undefined };
}
const many = (owner: string, count: number) =>
  Array.from({ length: count }, (_, i) => waiting(owner, 1, `${owner}${i}`));
const keysOf = (entries: readonly Waiting[]) => entries.map(({ request }) => request.key).join(' ');
function pushAll(queue: PostingQueue, ...entries: Waiting[]): void {
  for (const entry of entries) queue.push(entry);
}

/** Seals and ends a large request that takes `tookMs`, so that the next one is held from `endMs` on. */
function endLarge(queue: PostingQueue, startMs: number, tookMs: number): void {
  const batch = queue.seal(startMs);
  expect(keysOf(batch)).toBe('huge');
  queue.ended(batch, tookMs, startMs + tookMs);
}

test('eight turns make a batch', () => {
  const queue = queueOf();
  pushAll(queue, ...many('a', 20), ...many('b', 20));
  expect(keysOf(queue.seal(0)).split(' ').slice(0, 6)).toEqual(['a0', 'a1', 'b0', 'b1', 'a2', 'a3']);
  expect([queue.items, queue.sharedItems]).toEqual([24, 24]);
});

test('a batch may have fewer items than turns', () => {
  const queue = new PostingQueue({ batchItemsMax: 4, waitingItemsMax: 100 });
  pushAll(queue, ...many('a', 3), ...many('b', 2));
  expect(keysOf(queue.seal(0))).toBe('a0 b0 a1 b1');
});

test('a request that fits in a batch shares it, and one with an item more does not', () => {
  const queue = queueOf();
  pushAll(queue, waiting('a', BATCH), waiting('b', BATCH + 1), waiting('c', 1));
  expect([queue.items, queue.sharedItems]).toEqual([2 * BATCH + 2, BATCH + 1]);
  expect(keysOf(queue.entries()).split(' ').toSorted()).toEqual(['a', 'b', 'c']);
  expect(keysOf(queue.seal(0))).toBe('c');
  const batches = [keysOf(queue.seal(0)), keysOf(queue.seal(0))];
  expect(batches.toSorted()).toEqual(['a', 'b']);
  expect([queue.items, queue.sharedItems]).toEqual([0, 0]);
});

test('large requests that are removed or displaced no longer count as waiting', () => {
  const queue = queueOf(100);
  const [first, second] = [waiting('a', 40, 'first'), waiting('a', 40, 'second')];
  pushAll(queue, first, second, waiting('b', 10));
  expect([queue.remove(first), queue.remove(first), queue.sharedItems]).toEqual([true, false, 10]);
  queue.push(first);
  expect(queue.hasRoom(10)).toBe(true);
  expect(queue.hasRoom(11)).toBe(false);
  expect(keysOf(queue.makeRoom('c', 11))).toBe('first');
  expect([queue.items, queue.sharedItems]).toEqual([50, 10]);
  expect(keysOf(queue.makeRoom('c', 60))).toBe('');
  expect(keysOf(queue.makeRoom('c', 10))).toBe('');
});

test('one large request is in flight at a time', () => {
  const queue = queueOf();
  pushAll(queue, waiting('a', 40, 'huge'), waiting('b', 40, 'other'));
  const first = queue.seal(0);
  expect(keysOf(first)).toBe('huge');
  expect(queue.seal(1)).toEqual([]);
  // The end of another batch, or of an empty one, is not its end.
  queue.ended([waiting('c', 1)], 5, 5);
  queue.ended([], 5, 5);
  expect(queue.seal(6)).toEqual([]);
  queue.ended(first, 5, 10);
  expect(keysOf(queue.seal(10))).toBe('other');
});

test('the next large request is held for as long as the last one took, if another owner was active', () => {
  const queue = queueOf();
  pushAll(queue, waiting('small', 1), waiting('large', 40, 'huge'), waiting('large', 40, 'next'));
  expect(keysOf(queue.seal(0))).toBe('small');
  endLarge(queue, 0, 50);
  expect([queue.pauseMs(50), queue.pauseMs(99), queue.pauseMs(100), queue.pauseMs(101)]).toEqual([
    50, 1, 0, 0,
  ]);
  expect(queue.seal(99)).toEqual([]);
  expect(keysOf(queue.seal(100))).toBe('next');
  // None waits, so nothing has to be sealed later.
  expect(queue.pauseMs(60)).toBe(0);
});

test('the pause ends once no other owner was active for 100 ms', () => {
  const queue = queueOf();
  pushAll(queue, waiting('large', 40, 'huge'), waiting('large', 40, 'next'));
  const huge = queue.seal(0);
  queue.push(waiting('small', 1));
  expect(keysOf(queue.seal(160))).toBe('small');
  queue.ended(huge, 170, 170);
  expect(queue.pauseMs(170)).toBe(170);
  expect(queue.seal(259)).toEqual([]);
  expect(keysOf(queue.seal(260))).toBe('next');
});

test('the pause is at most 250 ms, however active others are', () => {
  const queue = queueOf();
  pushAll(queue, waiting('large', 40, 'huge'), waiting('large', 40, 'next'));
  const huge = queue.seal(0);
  const pay = (nowMs: number) => {
    queue.push(waiting('small', 1));
    expect(keysOf(queue.seal(nowMs))).toBe('small');
  };
  pay(4990);
  queue.ended(huge, 5000, 5000);
  expect(queue.pauseMs(5000)).toBe(250);
  for (const nowMs of [5080, 5160, 5240]) pay(nowMs);
  expect(queue.seal(5249)).toEqual([]);
  expect(keysOf(queue.seal(5250))).toBe('next');
});

test('an owner that is active itself does not hold its own large requests, and one of two others does', () => {
  const queue = queueOf();
  pushAll(queue, waiting('large', 1, 'own'), waiting('large', 40, 'huge'), waiting('large', 40, 'next'));
  expect(keysOf(queue.seal(0))).toBe('own');
  endLarge(queue, 0, 50);
  expect(keysOf(queue.seal(51))).toBe('next');

  // The latest owner is the owner of the large request; the one before it is not.
  const mixed = queueOf();
  for (const [ms, owner] of [
    [0, 'small'],
    [10, 'large'],
    [20, 'large'],
  ] as const) {
    mixed.push(waiting(owner, 1));
    expect(keysOf(mixed.seal(ms))).toBe(owner);
  }
  pushAll(mixed, waiting('large', 40, 'huge'), waiting('large', 40, 'next'));
  endLarge(mixed, 20, 60);
  expect(mixed.seal(90)).toEqual([]);
  expect(keysOf(mixed.seal(100))).toBe('next');
});
