import { afterEach, beforeEach, describe, expect, setSystemTime, test } from 'bun:test';
import type { Cache } from '../../../../src/adapters/cache/cache.ts';
import { CacheAside, type CacheAsideOptions } from '../../../../src/adapters/cache/cache-aside.ts';
import { MemoryCache } from '../../../../src/adapters/cache/memory-cache.ts';
import { AtlasError } from '../../../../src/errors.ts';

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

/** A source that counts how often it is asked, and answers what it holds at that time. */
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
  test('is loaded once and read from the cache then, until its time is over', async () => {
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

  test('that was loaded with others does not expire with them', async () => {
    const aside = asideOver(memory());
    const ids = Array.from({ length: 50 }, (_, i) => `t${i}`);
    const source = sourceOf(Object.fromEntries(ids.map((id) => [id, thing(id)])));
    for (const id of ids) await aside.find(id, source.load(id));
    laterBy(1000);
    for (const id of ids) await aside.find(id, source.load(id));
    expect(source.loads).toBeGreaterThan(50);
    expect(source.loads).toBeLessThan(100);
  });

  test('that many want at once is loaded once', async () => {
    const aside = asideOver(memory());
    const source = sourceOf({ a: thing('a') });
    const found = await Promise.all(Array.from({ length: 100 }, () => aside.find('a', source.load('a'))));
    expect(source.loads).toBe(1);
    expect(found).toEqual(Array.from({ length: 100 }, () => thing('a')));
  });

  test('is loaded shortly before its time is over by some reader, in proportion to how long loading took', async () => {
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

  test('that is too long for a cache is not kept', async () => {
    const cache = memory();
    const aside = asideOver(cache);
    const long = { ...thing('a'), text: 'x'.repeat(70_000) };
    const source = sourceOf({ a: long });
    expect(await aside.find('a', source.load('a'))).toEqual(long);
    expect(cache.stats()?.entries).toBe(0);
  });
});

describe('what is not there', () => {
  test('is asked for each time where it may come to be', async () => {
    const cache = memory();
    const aside = asideOver(cache);
    const source = sourceOf({});
    expect(await aside.find('a', source.load('a'))).toBeNull();
    source.held.a = thing('a');
    expect(await aside.find('a', source.load('a'))).toEqual(thing('a'));
  });

  test('is remembered for a short time where it cannot', async () => {
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

  test('is not told to who came after it came to be', async () => {
    const aside = asideOver(memory());
    const first = Promise.withResolvers<Thing | null>();
    const before = aside.find('a', () => first.promise);
    await Promise.resolve();
    // It is there now, but the load that is under way has not seen it.
    const after = aside.find('a', async () => thing('a'));
    await Bun.sleep(0);
    first.resolve(null);
    expect(await before).toBeNull();
    expect(await after).toEqual(thing('a'));
  });
});

describe('while the source cannot be reached', () => {
  test('a value is served beyond its time, but not for ever', async () => {
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

  test('what is not in the cache is an error', async () => {
    const aside = asideOver(memory());
    await expect(aside.find('a', sourceOf({ a: OUTAGE }).load('a'))).rejects.toBe(OUTAGE);
  });

  test('only an outage is covered up', async () => {
    const aside = asideOver(memory());
    const source = sourceOf({ a: thing('a') });
    await aside.find('a', source.load('a'));
    source.held.a = new Error('a bug');
    laterBy(2000);
    await expect(aside.find('a', source.load('a'))).rejects.toThrow('a bug');
  });

  test('who gives up is told that, not a stale value', async () => {
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
      caller.signal,
    );
    while (seen === undefined) await Bun.sleep(0);
    caller.abort(new Error('too late'));
    const error = await left.catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(AtlasError);
    expect((error as AtlasError).code).toBe('deadline_exceeded');
    expect(seen.aborted).toBe(true);
  });
});

describe('whatever is wrong with the cache', () => {
  const GARBAGE = ['', 'x', '{', 'null', '[]', '7', '{}', '{"freshUntilMs":"soon","loadMs":0,"value":1}'];
  const wrongValue = (value: unknown) => JSON.stringify({ freshUntilMs: START + 9000, loadMs: 0, value });

  test.each([...GARBAGE, wrongValue(7), wrongValue({ id: 'a' }), wrongValue(thing('b'))])(
    'the caller gets the value, and %p is replaced',
    async (text) => {
      const cache = memory();
      await cache.set('thing:a', text, 1_000_000);
      const aside = asideOver(cache);
      const source = sourceOf({ a: thing('a') });
      expect(await aside.find('a', source.load('a'))).toEqual(thing('a'));
      expect(await aside.find('a', source.load('a'))).toEqual(thing('a'));
      expect(source.loads).toBe(1);
    },
  );

  test('garbage is taken away even where there is nothing to put in its place', async () => {
    const cache = memory();
    await cache.set('thing:a', '{', 1_000_000);
    const aside = asideOver(cache);
    expect(await aside.find('a', sourceOf({}).load('a'))).toBeNull();
    expect(await cache.get('thing:a')).toBeNull();
  });

  test('calls that fail cost the caller nothing but a load', async () => {
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
    // One for the look and one for the mark; what could not be looked at is not written over.
    expect(aside.stats).toMatchObject({ errors: 2, misses: 1, loads: 1 });
  });
});

describe('a value that changed', () => {
  test('is loaded anew after it was forgotten', async () => {
    const aside = asideOver(memory(), { changes: true });
    const source = sourceOf({ a: thing('a', 1) });
    await aside.find('a', source.load('a'));
    source.held.a = thing('a', 2);
    await aside.forget('a');
    expect(await aside.find('a', source.load('a'))).toEqual(thing('a', 2));
    expect(await aside.find('a', source.load('a'))).toEqual(thing('a', 2));
    expect(source.loads).toBe(2);
  });

  test('is not overwritten in the cache by a load that began before', async () => {
    const cache = memory();
    const aside = asideOver(cache, { changes: true });
    const old = Promise.withResolvers<Thing>();
    const reader = aside.find('a', () => old.promise);
    await Bun.sleep(0);
    await aside.forget('a');
    old.resolve(thing('a', 1));
    expect(await reader).toEqual(thing('a', 1));
    const source = sourceOf({ a: thing('a', 2) });
    expect(await aside.find('a', source.load('a'))).toEqual(thing('a', 2));
  });

  test('is not told as it was to who joined a load of before, here or in another worker', async () => {
    const cache = memory();
    const [here, there] = [asideOver(cache, { changes: true }), asideOver(cache, { changes: true })];
    const old = Promise.withResolvers<Thing>();
    const before = here.find('a', () => old.promise);
    await Bun.sleep(0);
    await there.forget('a');
    const after = here.find('a', async () => thing('a', 2));
    await Bun.sleep(0);
    old.resolve(thing('a', 1));
    expect(await before).toEqual(thing('a', 1));
    expect(await after).toEqual(thing('a', 2));
  });

  test('is never kept where only this worker would hear of the change', async () => {
    const cache = memory(false);
    const aside = asideOver(cache, { changes: true });
    const source = sourceOf({ a: thing('a') });
    await aside.find('a', source.load('a'));
    await aside.find('a', source.load('a'));
    expect(source.loads).toBe(2);
    expect(cache.stats()?.entries).toBe(0);
  });
});
