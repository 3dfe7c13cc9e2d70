import { afterEach, beforeEach, describe, expect, setSystemTime, test } from 'bun:test';
import type { Cache } from '../../../../src/adapters/cache/cache.ts';
import { CacheAside, type CacheAsideOptions } from '../../../../src/adapters/cache/cache-aside.ts';
import { MemoryCache } from '../../../../src/adapters/cache/memory-cache.ts';
import { AtlasError } from '../../../../src/errors.ts';
import { until } from '../../../support/until.ts';
import { settled } from '../../../support/virtual-time.ts';

interface Thing {
  readonly id: string;
  readonly amount: number;
}

const OUTAGE = new AtlasError('dependency_unavailable', 'The source cannot be reached.');
const START = new Date('2026-01-01T00:00:00Z').getTime();

function memory(isShared = true): Cache {
  const cache = new MemoryCache({ entriesMax: 100, sizeBytesMax: 1_000_000, nowMs: () => Date.now() });
  return Object.assign(cache, { isShared });
}

function asideOver(cache: Cache, options: Partial<CacheAsideOptions<Thing>> = {}) {
  return new CacheAside<Thing>({
    cache,
    name: 'thing',
    ttlMs: 1000,
    staleMs: 5000,
    negativeTtlMs: 0,
    changes: false,
    fits: (value, id): value is Thing =>
      typeof value === 'object' && value !== null && 'amount' in value && 'id' in value && value.id === id,
    ...options,
  });
}

/** A source that counts its loads, and returns what it holds at that time. */
function sourceOf(held: Record<string, Thing | null | Error>) {
  let loads = 0;
  return {
    held,
    get loads() {
      return loads;
    },
    load: (id: string) => async () => {
      loads++;
      const found = held[id] ?? null;
      if (found instanceof Error) throw found;
      return found;
    },
  };
}

const thing = (id: string, amount = 1): Thing => ({ id, amount });
const laterBy = (ms: number) => setSystemTime(new Date(Date.now() + ms));

beforeEach(() => void setSystemTime(new Date(START)));
afterEach(() => void setSystemTime());

describe('a value', () => {
  test('is loaded once and then read from the cache until it expires', async () => {
    const aside = asideOver(memory());
    const source = sourceOf({ a: thing('a') });
    const find = () => aside.find('a', source.load('a'));
    expect(await find()).toEqual(thing('a'));
    laterBy(890);
    expect(await find()).toEqual(thing('a'));
    expect(source.loads).toBe(1);
    laterBy(220);
    expect(await find()).toEqual(thing('a'));
    expect(source.loads).toBe(2);
    expect(aside.stats).toMatchObject({ hits: 1, misses: 2, loads: 2, stale: 0, errors: 0 });
  });

  test('does not expire together with others that were loaded at the same time', async () => {
    const aside = asideOver(memory());
    const ids = Array.from({ length: 50 }, (_, i) => `t${i}`);
    const source = sourceOf(Object.fromEntries(ids.map((id) => [id, thing(id)])));
    for (const id of ids) await aside.find(id, source.load(id));
    laterBy(1000);
    for (const id of ids) await aside.find(id, source.load(id));
    expect(source.loads).toBeGreaterThan(50);
    expect(source.loads).toBeLessThan(100);
  });

  test('that is requested concurrently is loaded once', async () => {
    const aside = asideOver(memory());
    const source = sourceOf({ a: thing('a') });
    const found = await Promise.all(Array.from({ length: 100 }, () => aside.find('a', source.load('a'))));
    expect(source.loads).toBe(1);
    expect(found).toEqual(Array.from({ length: 100 }, () => thing('a')));
  });

  test('is reloaded by some reader shortly before it expires, in proportion to how long loading took', async () => {
    const cache = memory();
    const aside = asideOver(cache);
    const source = sourceOf({ a: thing('a') });
    let early = 0;
    for (let i = 0; i < 400; i++) {
      const entry = { freshUntilMs: Date.now() + 100, loadMs: 100, value: thing('a') };
      await cache.set('thing:a', JSON.stringify(entry), 1000);
      const before = source.loads;
      await aside.find('a', source.load('a'));
      early += source.loads - before;
    }
    // One in e: 147. Ten standard deviations to each side.
    expect(early).toBeGreaterThan(50);
    expect(early).toBeLessThan(245);
  });

  test('that is too long for the cache is not stored', async () => {
    const cache = memory();
    const aside = asideOver(cache);
    const long = { ...thing('a'), text: 'x'.repeat(70_000) };
    const source = sourceOf({ a: long });
    expect(await aside.find('a', source.load('a'))).toEqual(long);
    expect(cache.stats()?.entries).toBe(0);
  });
});

describe('an absent value', () => {
  test('is loaded each time if it may be created later', async () => {
    const cache = memory();
    const aside = asideOver(cache);
    const source = sourceOf({});
    expect(await aside.find('a', source.load('a'))).toBeNull();
    source.held.a = thing('a');
    expect(await aside.find('a', source.load('a'))).toEqual(thing('a'));
  });

  test('is cached for a short time if it cannot', async () => {
    const aside = asideOver(memory(), { negativeTtlMs: 100 });
    const source = sourceOf({});
    await aside.find('a', source.load('a'));
    expect(await aside.find('a', source.load('a'))).toBeNull();
    expect(source.loads).toBe(1);
    expect(aside.stats.negatives).toBe(1);
    laterBy(111);
    await aside.find('a', source.load('a'));
    expect(source.loads).toBe(2);
  });

  test('is not returned to callers that came after its creation', async () => {
    const aside = asideOver(memory());
    const first = Promise.withResolvers<Thing | null>();
    const before = aside.find('a', () => first.promise);
    await Promise.resolve();
    // It exists now, but the load in progress has not seen it.
    const after = aside.find('a', async () => thing('a'));
    await settled();
    first.resolve(null);
    expect(await before).toBeNull();
    expect(await after).toEqual(thing('a'));
  });
});

describe('while the source cannot be reached', () => {
  test('an expired value is served, but not forever', async () => {
    const aside = asideOver(memory());
    const source = sourceOf({ a: thing('a') });
    await aside.find('a', source.load('a'));
    source.held.a = OUTAGE;
    laterBy(2000);
    expect(await aside.find('a', source.load('a'))).toEqual(thing('a'));
    expect(aside.stats.stale).toBe(1);
    laterBy(4200);
    await expect(aside.find('a', source.load('a'))).rejects.toBe(OUTAGE);
  });

  test('a value that is not in the cache is an error', async () => {
    const aside = asideOver(memory());
    await expect(aside.find('a', sourceOf({ a: OUTAGE }).load('a'))).rejects.toBe(OUTAGE);
  });

  test('only an outage is hidden', async () => {
    const aside = asideOver(memory());
    const source = sourceOf({ a: thing('a') });
    await aside.find('a', source.load('a'));
    source.held.a = new Error('a bug');
    laterBy(2000);
    await expect(aside.find('a', source.load('a'))).rejects.toThrow('a bug');
  });

  test('a caller that stops waiting gets an error, not a stale value', async () => {
    const aside = asideOver(memory());
    await aside.find('a', sourceOf({ a: thing('a') }).load('a'));
    laterBy(2000);
    const caller = new AbortController();
    let seen: AbortSignal | undefined;
    const left = aside.find(
      'a',
      (signal) => {
        seen = signal;
        return new Promise(() => {});
      },
      caller,
    );
    const given = await until(() => seen);
    caller.abort(new Error('too late'));
    const error = await left.catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(AtlasError);
    expect((error as AtlasError).code).toBe('deadline_exceeded');
    expect(given.aborted).toBe(true);
  });
});

describe('with a broken cache', () => {
  const GARBAGE = ['', 'x', '{', 'null', '[]', '7', '{}', '{"freshUntilMs":"soon","loadMs":0,"value":1}'];
  const entry = (value: unknown, freshMs = 900, loadMs = 0) =>
    JSON.stringify({ freshUntilMs: START + freshMs, loadMs, value });
  const NOT_STORED = [entry(null), entry(thing('a', 7), 9000), entry(thing('a', 7), -9, -1e300)];

  test.each([...GARBAGE, ...[7, { id: 'a' }, thing('b')].map((value) => entry(value)), ...NOT_STORED])(
    'the caller gets the value, and %p is replaced',
    async (text) => {
      const cache = memory();
      await cache.set('thing:a', text, 1_000_000);
      const aside = asideOver(cache);
      const source = sourceOf({ a: thing('a') });
      for (let i = 0; i < 2; i++) expect(await aside.find('a', source.load('a'))).toEqual(thing('a'));
      expect(source.loads).toBe(1);
    },
  );

  test('an invalid entry is removed even if there is no value to replace it', async () => {
    const cache = memory();
    await cache.set('thing:a', '{', 1_000_000);
    const aside = asideOver(cache);
    expect(await aside.find('a', sourceOf({}).load('a'))).toBeNull();
    expect(await cache.get('thing:a')).toBeNull();
  });

  test('failed calls cost the caller nothing but a load', async () => {
    const fails = () => Promise.reject(new Error('no cache'));
    const broken: Cache = {
      isShared: true,
      dependency: null,
      get: fails,
      set: fails,
      replace: fails,
      stats: () => null,
      close() {},
    };
    const aside = asideOver(broken);
    const source = sourceOf({ a: thing('a') });
    expect(await aside.find('a', source.load('a'))).toEqual(thing('a'));
    await aside.forget('a');
    // One for the lookup and one for the mark. An entry that could not be read is not overwritten.
    expect(aside.stats).toMatchObject({ errors: 2, misses: 1, loads: 1 });
  });
});

describe('a value that changed', () => {
  test('is loaded again after it was forgotten', async () => {
    const aside = asideOver(memory(), { changes: true });
    const source = sourceOf({ a: thing('a', 1) });
    await aside.find('a', source.load('a'));
    source.held.a = thing('a', 2);
    await aside.forget('a');
    expect(await aside.find('a', source.load('a'))).toEqual(thing('a', 2));
    expect(await aside.find('a', source.load('a'))).toEqual(thing('a', 2));
    expect(source.loads).toBe(2);
  });

  test('is not overwritten in the cache by a load that started before', async () => {
    const cache = memory();
    const aside = asideOver(cache, { changes: true });
    const old = Promise.withResolvers<Thing>();
    const reader = aside.find('a', () => old.promise);
    await settled();
    await aside.forget('a');
    old.resolve(thing('a', 1));
    expect(await reader).toEqual(thing('a', 1));
    const source = sourceOf({ a: thing('a', 2) });
    expect(await aside.find('a', source.load('a'))).toEqual(thing('a', 2));
  });

  test('is not returned in its old form to callers that joined an earlier load, here or in another worker', async () => {
    const cache = memory();
    const [here, there] = [asideOver(cache, { changes: true }), asideOver(cache, { changes: true })];
    const old = Promise.withResolvers<Thing>();
    const before = here.find('a', () => old.promise);
    await settled();
    await there.forget('a');
    const after = here.find('a', async () => thing('a', 2));
    await settled();
    old.resolve(thing('a', 1));
    expect(await before).toEqual(thing('a', 1));
    expect(await after).toEqual(thing('a', 2));
  });

  test('is never stored in a cache of this worker alone', async () => {
    const cache = memory(false);
    const aside = asideOver(cache, { changes: true });
    const source = sourceOf({ a: thing('a') });
    await aside.find('a', source.load('a'));
    await aside.find('a', source.load('a'));
    expect(source.loads).toBe(2);
    expect(cache.stats()?.entries).toBe(0);
  });
});
