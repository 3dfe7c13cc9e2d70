import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { MemoryCache } from '../../../../src/adapters/cache/memory-cache.ts';

test('evicts the least recently used entry first', async () => {
  const cache = new MemoryCache({ entriesMax: 2, sizeBytesMax: 10_000 });
  await cache.set('a', '1', 1000);
  await cache.set('b', '2', 1000);
  expect(await cache.get('a')).toBe('1');
  await cache.set('c', '3', 1000);
  expect(await Promise.all(['a', 'b', 'c'].map((key) => cache.get(key)))).toEqual(['1', null, '3']);
});

test('an expired entry is gone, and its memory with it', async () => {
  let nowMs = 0;
  const cache = new MemoryCache({ entriesMax: 10, sizeBytesMax: 10_000, nowMs: () => nowMs });
  await cache.set('a', '1', 1000);
  nowMs = 999;
  expect(await cache.get('a')).toBe('1');
  nowMs = 1000;
  expect(await cache.get('a')).toBeNull();
  expect(cache.stats()).toEqual({ entries: 0, sizeBytes: 0 });
});

test('an entry larger than the whole cache is not stored, and removes the old one', async () => {
  const cache = new MemoryCache({ entriesMax: 10, sizeBytesMax: 1000 });
  await cache.set('a', 'old', 1000);
  await cache.set('b', 'other', 1000);
  await cache.set('a', 'x'.repeat(1000), 1000);
  expect(await cache.get('a')).toBeNull();
  expect(await cache.get('b')).toBe('other');
});

test('never exceeds its limits, and returns what was set last', async () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd', 'e');
  const text = fc.string({ maxLength: 200 });
  const step = fc.oneof(
    fc.record({ do: fc.constant('set' as const), key, text }),
    fc.record({ do: fc.constant('replace' as const), key, text }),
    fc.record({ do: fc.constant('get' as const), key }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const cache = new MemoryCache({ entriesMax: 3, sizeBytesMax: 1500 });
      const last = new Map<string, string>();
      for (const next of steps) {
        const found = await cache.get(next.key);
        expect([null, last.get(next.key) ?? null]).toContain(found);
        if (next.do === 'set') {
          await cache.set(next.key, next.text, 1000);
          last.set(next.key, next.text);
        } else if (next.do === 'replace') {
          expect(await cache.replace(next.key, `${found}?`, 'no', 1000)).toBe(false);
          expect(await cache.replace(next.key, found, next.text, 1000)).toBe(true);
          last.set(next.key, next.text);
        }
        const { entries, sizeBytes } = cache.stats();
        expect(entries).toBeLessThanOrEqual(3);
        expect(sizeBytes).toBeLessThanOrEqual(1500);
      }
      cache.close();
      expect(cache.stats()).toEqual({ entries: 0, sizeBytes: 0 });
    }),
  );
});
