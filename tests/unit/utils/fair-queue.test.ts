import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { FairQueue } from '../../../src/utils/fair-queue.ts';
import { bytesRetainedOfOwners, FEW_BYTES } from '../../support/retained-bytes.ts';

interface Entry {
  readonly owner: string;
  readonly cost: number;
  readonly name: string;
}
const entryOf = (owner: string, cost: number, name = `${owner}${cost}`): Entry => ({ owner, cost, name });

/** A queue with a quantum of 4 that holds these entries. */
function queueOf(...entries: Entry[]) {
  const queue = new FairQueue<Entry>(4);
  for (const entry of entries) queue.push(entry);
  return queue;
}
const namesOf = (entries: readonly Entry[]) => entries.map(({ name }) => name).join(' ');
const many = (owner: string, count: number, cost = 1) =>
  Array.from({ length: count }, (_, i) => entryOf(owner, cost, `${owner}${i}`));

describe('a fair queue', () => {
  test('serves owners in turn, by what their entries cost and not by how many there are', () => {
    const queue = queueOf(...many('a', 20), entryOf('b', 2, 'x'), entryOf('b', 2, 'y'), entryOf('b', 2, 'z'));
    expect(namesOf(queue.take(10))).toBe('a0 a1 a2 a3 x y a4 a5');
    expect(namesOf(queue.take(4))).toBe('a6 a7 z');
  });

  test('keeps the order of an owner, and gives it everything if nobody else waits', () => {
    const queue = queueOf(...many('a', 9));
    expect(namesOf(queue.take(8))).toBe('a0 a1 a2 a3 a4 a5 a6 a7');
    expect(namesOf(queue.take(8))).toBe('a8');
    expect([queue.cost, queue.take(8)]).toEqual([0, []]);
  });

  test('takes an entry that is too large for any batch alone, once its owner has waited its turns', () => {
    const queue = queueOf(entryOf('a', 20, 'large'), ...many('b', 12));
    const batches = Array.from({ length: 4 }, () => namesOf(queue.take(8)));
    expect(batches).toEqual(['b0 b1 b2 b3 b4 b5 b6 b7', 'b8 b9 b10 b11', 'large', '']);
  });

  test('passes over an owner whose first entry is held, and over all if everything is', () => {
    const queue = queueOf(entryOf('a', 1, 'held'), entryOf('a', 1, 'behind'), entryOf('b', 1, 'free'));
    const isHeld = ({ name }: Entry) => name === 'held';
    expect(namesOf(queue.take(8, isHeld))).toBe('free');
    expect(queue.take(8, isHeld)).toEqual([]);
    expect(namesOf(queue.take(8))).toBe('held behind');
  });

  test('serves the others in as many turns as fit while an owner is held', () => {
    const queue = queueOf(...many('a', 20), entryOf('b', 1, 'held'), ...many('c', 20));
    expect(queue.take(40, ({ name }) => name === 'held')).toHaveLength(40);
    expect(namesOf(queue.take(40))).toBe('held');
  });

  test('ends the turn of an owner before an entry that is held', () => {
    const queue = queueOf(...['a0', 'a1', 'held', 'a3'].map((name) => entryOf('a', 1, name)));
    const isHeld = ({ name }: Entry) => name === 'held';
    expect(namesOf(queue.take(8, isHeld))).toBe('a0 a1');
    expect(namesOf(queue.take(8))).toBe('held a3');
  });

  test('serves an owner that comes during the turn of another right after it', () => {
    const queue = queueOf(...many('a', 20));
    expect(namesOf(queue.take(6))).toBe('a0 a1 a2 a3 a4 a5');
    for (const entry of many('b', 20)) queue.push(entry);
    expect(namesOf(queue.take(8))).toBe('a6 a7 b0 b1 b2 b3 a8 a9');
  });

  test('lets an owner that was served completely begin like any other when it comes back', () => {
    const queue = queueOf(entryOf('a', 1, 'first'));
    expect(namesOf(queue.take(8))).toBe('first');
    for (const entry of [...many('a', 9), ...many('b', 9)]) queue.push(entry);
    expect(namesOf(queue.take(8))).toBe('a0 a1 a2 a3 b0 b1 b2 b3');
  });

  test('gives up the newest entry of the longest owner, as long as that has more than the newcomer would', () => {
    const queue = queueOf(...many('a', 5), ...many('b', 2));
    expect(queue.displace('c', 1)).toMatchObject({ name: 'a4' });
    expect(queue.displace('b', 1)).toMatchObject({ name: 'a3' });
    expect(queue.displace('b', 1)).toBeUndefined();
    expect(queue.displace('a', 1)).toBeUndefined();
    expect(queue.cost).toBe(5);
  });

  test('removes an entry wherever it is, once', () => {
    const [first, second, third, fourth] = many('a', 4, 2);
    const queue = queueOf(first!, second!, third!, fourth!);
    expect([queue.remove(second!), queue.remove(second!), queue.remove(first!)]).toEqual([true, false, true]);
    expect([queue.cost, namesOf(queue.entries())]).toEqual([4, 'a2 a3']);
    expect(queue.remove(entryOf('nobody', 1))).toBe(false);
    expect(namesOf(queue.take(8))).toBe('a2 a3');
    expect([queue.remove(third!), queue.cost]).toEqual([false, 0]);
  });

  test('has all entries of all owners, those of an owner in order', () => {
    const queue = queueOf(...many('a', 3), ...many('b', 2));
    queue.push(entryOf('a', 1, 'a3'));
    const names = queue.entries().map(({ name }) => name);
    expect(names.toSorted()).toEqual(['a0', 'a1', 'a2', 'a3', 'b0', 'b1']);
    expect(names.filter((name) => name.startsWith('a'))).toEqual(['a0', 'a1', 'a2', 'a3']);
  });

  test('gives up entries by what they cost, and what was removed no longer counts', () => {
    const queue = queueOf(...many('a', 2, 10), ...many('b', 6, 2));
    expect(queue.displace('c', 1)).toMatchObject({ name: 'a1' });
    expect(queue.displace('c', 1)).toMatchObject({ name: 'b5' });
    expect(queue.displace('c', 10)).toBeUndefined();
    for (const entry of queue.entries()) if (entry.owner === 'b') queue.remove(entry);
    expect(queue.displace('c', 9)).toMatchObject({ name: 'a0' });
    expect([queue.cost, queue.displace('c', 1), queue.take(8)]).toEqual([0, undefined, []]);
  });

  test('gives up nothing of an owner for what it had before it was served', () => {
    const queue = queueOf(...many('a', 20), ...many('b', 3));
    expect(queue.take(20).filter(({ owner }) => owner === 'a')).toHaveLength(17);
    queue.push(entryOf('b', 4, 'long'));
    expect(queue.displace('c', 1)).toMatchObject({ name: 'long' });
  });

  test('forgets owners without entries, however their entries left', () => {
    const queue = queueOf();
    const leave = [
      () => queue.take(8),
      () => queue.displace('other', 1),
      (entry: Entry) => queue.remove(entry),
    ] as const;
    for (const removed of leave) {
      const visit = (owner: string) => {
        const entry = entryOf(owner, 4, 'x');
        queue.push(entry);
        removed(entry);
      };
      expect(bytesRetainedOfOwners(visit)).toBeLessThan(FEW_BYTES);
      expect(queue.cost).toBe(0);
    }
  });
});

test('no owner that waits gets less than its share, whatever the others queue, and nothing is lost', () => {
  const arrivals = fc.array(
    fc.record({ owner: fc.constantFrom('a', 'b', 'c'), cost: fc.integer({ min: 1, max: 30 }) }),
    {
      minLength: 1,
      maxLength: 60,
    },
  );
  fc.assert(
    fc.property(arrivals, (entries) => {
      const queue = queueOf(...entries.map(({ owner, cost }, i) => entryOf(owner, cost, String(i))));
      const served = new Map<string, number>();
      const order: string[] = [];
      while (queue.cost > 0) {
        const waiting = new Set(queue.entries().map(({ owner }) => owner));
        const batch = queue.take(16);
        if (batch.length > 1) expect(batch.reduce((sum, { cost }) => sum + cost, 0)).toBeLessThanOrEqual(16);
        for (const { owner, cost, name } of batch) {
          served.set(owner, (served.get(owner) ?? 0) + cost);
          order.push(name);
        }
        // By no more than the largest entry and a turn, as Shreedhar and Varghese prove.
        const costs = [...waiting].map((owner) => served.get(owner) ?? 0);
        if (entries.every(({ owner }) => waiting.has(owner)))
          expect(Math.max(...costs) - Math.min(...costs)).toBeLessThanOrEqual(2 * 30 + 4 + 16);
      }
      expect(order.toSorted((x, y) => Number(x) - Number(y))).toEqual(entries.map((_, i) => String(i)));
      for (const owner of ['a', 'b', 'c']) {
        const own = order.filter((name) => entries[Number(name)]!.owner === owner).map(Number);
        expect(own).toEqual(own.toSorted((x, y) => x - y));
      }
    }),
    { numRuns: 200, seed: 15 },
  );
});
