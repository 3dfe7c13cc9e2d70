import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { firstOfEachKey, planBatch, type Unsent } from '../../../../../src/features/events/relay/domain.ts';

const unsent = (key: string, sequence: number, lastSent: number | null = null, isParked = false): Unsent => ({
  rowId: 0,
  key,
  sequence,
  lastSent,
  isParked,
  event: null,
});
const told = (events: readonly { key: string; sequence: number }[]) =>
  events.map(({ key, sequence }) => `${key}${sequence}`);

describe('a batch of the outbox', () => {
  test('is sent as it is if each event follows the one before', () => {
    const { sendable, poison } = planBatch([
      unsent('a', 4, 3),
      unsent('b', 0),
      unsent('a', 5, 3),
      unsent('b', 1),
    ]);
    expect(told(sendable)).toEqual(['a4', 'b0', 'a5', 'b1']);
    expect(poison).toEqual([]);
  });

  test('may start a key at any sequence, as keys older than the log do', () => {
    expect(told(planBatch([unsent('a', 7), unsent('a', 8)]).sendable)).toEqual(['a7', 'a8']);
  });

  test('stops a key at a gap and leaves the others alone', () => {
    const { sendable, poison } = planBatch([
      unsent('a', 2, 0),
      unsent('b', 1, 0),
      unsent('a', 1, 0),
      unsent('a', 3, 0),
    ]);
    expect(told(sendable)).toEqual(['b1']);
    expect(poison).toEqual([{ key: 'a', sequence: 2, reason: 'event 2 does not follow event 0' }]);
  });

  test('stops a key at an event that was sent before', () => {
    expect(told(planBatch([unsent('a', 3, 3)]).poison)).toEqual(['a3']);
    expect(told(planBatch([unsent('a', 1), unsent('a', 1)]).sendable)).toEqual(['a1']);
  });

  test('sends no event of a parked key, and does not park it again', () => {
    const { sendable, poison } = planBatch([unsent('a', 9, 3, true), unsent('b', 4, 3)]);
    expect(told(sendable)).toEqual(['b4']);
    expect(poison).toEqual([]);
  });

  test('continues after the preceding batch, which PostgreSQL may not reflect yet', () => {
    const before = { last: new Map([['a', 4]]), stopped: new Set(['b']) };
    const batch = [unsent('a', 5, 3), unsent('b', 2, 1), unsent('c', 1, 0), unsent('a', 6, 3)];
    const { sendable, poison } = planBatch(batch, before);
    expect(told(sendable)).toEqual(['a5', 'c1', 'a6']);
    expect(poison).toEqual([]);
    // PostgreSQL may already reflect the preceding batch.
    expect(told(planBatch([unsent('a', 7, 6)], before).sendable)).toEqual(['a7']);
  });

  test('never sends an event without the one before it, whatever the batch contains', () => {
    const key = fc.constantFrom('a', 'b', 'c');
    const last = { a: null, b: 0, c: 5 } as Record<string, number | null>;
    const batch = fc.array(fc.tuple(key, fc.nat({ max: 9 })), { maxLength: 30 });
    fc.assert(
      fc.property(batch, (drawn) => {
        const { sendable, poison } = planBatch(drawn.map(([k, n]) => unsent(k, n, last[k])));
        const seen = { ...last };
        for (const { key: k, sequence } of sendable) {
          if (seen[k] !== null) expect(sequence).toBe(seen[k]! + 1);
          seen[k] = sequence;
        }
        expect(new Set(poison.map((p) => p.key)).size).toBe(poison.length);
      }),
    );
  });
});

test('the first poison event of a key counts', () => {
  const poison = [
    { key: 'a', sequence: 5, reason: 'late' },
    { key: 'b', sequence: 1, reason: 'other' },
    { key: 'a', sequence: 3, reason: 'early' },
  ];
  expect(firstOfEachKey(poison)).toEqual([poison[2]!, poison[1]!]);
});
