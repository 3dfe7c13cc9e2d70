import { describe, expect, test } from 'bun:test';
import { createReservedId, type ReservedKind } from '../../../src/utils/reserved-id.ts';

const KINDS: [ReservedKind, string][] = [
  ['file', 'a501'],
  ['webhook', 'a502'],
  ['test event', 'a503'],
  ['document', 'a505'],
];

describe.each(KINDS)('an id of a %s', (kind, marker) => {
  test('is a UUIDv8 of its own range', () => {
    const form = new RegExp(`^[0-9a-f]{8}-[0-9a-f]{4}-8a71-${marker}-[0-9a-f]{12}$`);
    for (let i = 0; i < 100; i++) expect(createReservedId(kind)).toMatch(form);
  });

  test('sorts by time, also among the UUIDv7 of the previous release', () => {
    const ids: string[] = [];
    for (let i = 0; i < 6; i++) {
      const startMs = Date.now();
      while (Date.now() <= startMs + 1);
      ids.push(i % 2 === 0 ? createReservedId(kind) : Bun.randomUUIDv7());
    }
    expect(ids.toSorted()).toEqual(ids);
  });

  test('sorts in the order of creation within a millisecond', () => {
    const ids = Array.from({ length: 1000 }, () => createReservedId(kind));
    expect(ids.toSorted()).toEqual(ids);
  });

  test('is never the same twice', () => {
    const ids = Array.from({ length: 10_000 }, () => createReservedId(kind));
    expect(new Set(ids).size).toBe(ids.length);
  });
});
