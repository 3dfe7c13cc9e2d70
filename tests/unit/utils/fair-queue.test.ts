import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { FairQueue } from '../../../src/utils/fair-queue.ts';

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

  test('gives up the newest entry of the longest owner, as long as that has more than the newcomer would', () => {
    const queue = queueOf(...many('a', 5), ...many('b', 2));
    expect(queue.displace('c', 1)).toMatchObject({ name: 'a4' });
    expect(queue.displace('b', 1)).toMatchObject({ name: 'a3' });
    expect(queue.displace('b', 1)).toBeUndefined();
    expect(queue.displace('a', 1)).toBeUndefined();
    expect(queue.cost).toBe(5);
  });

  test('removes an entry wherever it is, once', () => {
    const [first, second] = many('a', 2);
    const queue = queueOf(first!, second!);
    expect([queue.remove(second!), queue.remove(second!)]).toEqual([true, false]);
    expect(namesOf(queue.take(8))).toBe('a0');
    expect(queue.remove(first!)).toBe(false);
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
        for (const { owner, cost, name } of queue.take(16)) {
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
