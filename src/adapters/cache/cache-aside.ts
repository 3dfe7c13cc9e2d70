import { AtlasError, type ErrorCode } from '../../errors.ts';
import { SingleFlight } from '../../utils/single-flight.ts';
import type { Cache } from './cache.ts';

/** What to cache, and for how long. `T` must be serializable as JSON. */
export interface CacheAsideOptions<T> {
  readonly cache: Cache;
  /** Prefix of its keys and label of its metrics. A new shape of `T` needs a new name: releases run side by side. */
  readonly name: string;
  /** How long a value is fresh, plus or minus a tenth, so that values loaded together do not expire together. */
  readonly ttlMs: number;
  /** How much longer a value is served while its source is unavailable. */
  readonly staleMs: number;
  /** How long the absence of a value is cached. 0 if a value may be created later. */
  readonly negativeTtlMs: number;
  /** Whether values can change or be deleted. Such values are cached only if all workers share the cache. */
  readonly changes: boolean;
  /** Whether the cached value is valid, and belongs to this id. */
  fits(value: unknown, id: string): value is T;
}

/** Counts since the start. */
export interface CacheAsideStats {
  hits: number;
  /** Hits on a cached absence. */
  negatives: number;
  misses: number;
  /** Expired values served because their source was unavailable. */
  stale: number;
  /** Failed calls to the cache, which callers do not notice. */
  errors: number;
  /** Loads from the source. Fewer than misses, because concurrent callers share a load. */
  loads: number;
}

interface Entry {
  /** When to load it again (milliseconds since 1970), and how long loading took: see `isDue`. */
  readonly freshUntilMs: number;
  readonly loadMs: number;
  readonly value: unknown;
}

/** The result of a lookup. `text` is the raw entry; undefined if the cache was unavailable. */
interface Lookup<T> {
  readonly text: string | null | undefined;
  readonly entry: (Entry & { readonly value: T | null }) | null;
}

interface Loaded<T> {
  readonly value: T | null;
  /** Whether it was current when its load ended. Callers that joined during the load must not get an older value. */
  readonly isCurrent: boolean;
}

const OUTAGES: readonly ErrorCode[] = ['dependency_unavailable', 'deadline_exceeded', 'overloaded'];
const FLIGHTS_MAX = 1024;
const TEXT_CHARS_MAX = 65_536;
const JITTER = 0.1;
// An entry that seems fresh for longer than this many times the TTL is from a clock that is wrong.
const CLOCK_MARGIN = 2;
// A load that takes longer than half of this is not stored, so a load that began before a change cannot outlive its
// mark.
const CHANGE_MARK_MS = 60_000;

/**
 * Reads values through a cache, and loads those that it does not have. Failures of the cache do not reach callers: it
 * has its own short timeout, and its entries are validated.
 */
export class CacheAside<T> {
  readonly #options: CacheAsideOptions<T>;
  readonly #flights = new SingleFlight<Loaded<T>>(FLIGHTS_MAX);
  readonly stats: CacheAsideStats = { hits: 0, negatives: 0, misses: 0, stale: 0, errors: 0, loads: 0 };

  constructor(options: CacheAsideOptions<T>) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  /**
   * Returns the value of the id, or null if there is none. Throws what `load` throws, and `deadline_exceeded` if the
   * caller's signal aborts. `load` gets its own signal, because other callers may share it. A hit in memory does not
   * read the caller's signal, which an exchange creates on first use.
   */
  async find(
    id: string,
    load: (signal: AbortSignal) => Promise<T | null>,
    caller?: { readonly signal: AbortSignal },
  ): Promise<T | null> {
    const { cache, changes } = this.#options;
    if (changes && !cache.isShared) return load(caller?.signal ?? new AbortController().signal);
    const lookup = await this.#lookUp(id, cache.isShared ? caller?.signal : undefined);
    if (lookup.entry !== null && !isDue(lookup.entry)) {
      if (lookup.entry.value === null) this.stats.negatives++;
      else this.stats.hits++;
      return lookup.entry.value;
    }
    this.stats.misses++;
    const signal = caller?.signal;
    try {
      return await this.#share(id, lookup, load, signal);
    } catch (error) {
      if (signal?.aborted) throw tooLate(error);
      if (lookup.entry === null || lookup.entry.value === null || !isOutage(error)) throw error;
      this.stats.stale++;
      return lookup.entry.value;
    }
  }

  /**
   * Invalidates the value of the id; call it after a change was committed. Leaves a mark that keeps earlier loads from
   * being stored (like the leases of Nishtala et al., Scaling Memcache at Facebook, 2013). Never throws: if the cache
   * is unavailable, the old value may be served until it expires.
   */
  async forget(id: string): Promise<void> {
    const { cache, changes } = this.#options;
    this.#flights.forget(id);
    if (changes && !cache.isShared) return;
    const mark = `changed ${Bun.randomUUIDv7()}`;
    await cache.set(this.#keyOf(id), mark, CHANGE_MARK_MS).catch(this.#countError);
  }

  #keyOf(id: string): string {
    return `${this.#options.name}:${id}`;
  }

  readonly #countError = (): void => {
    this.stats.errors++;
  };

  async #lookUp(id: string, signal: AbortSignal | undefined): Promise<Lookup<T>> {
    const { cache } = this.#options;
    let text: string | null;
    try {
      text = await cache.get(this.#keyOf(id), signal);
    } catch {
      if (!signal?.aborted) this.#countError();
      return { text: undefined, entry: null };
    }
    const entry = text === null ? null : readEntry(text);
    const isValid = entry !== null && this.#isValid(entry, id);
    return { text, entry: isValid ? (entry as Entry & { value: T | null }) : null };
  }

  /** Whether this class can have stored the entry, on a host whose clock is about right. */
  #isValid({ freshUntilMs, loadMs, value }: Entry, id: string): boolean {
    const { ttlMs, negativeTtlMs, fits } = this.#options;
    const freshMsMax = CLOCK_MARGIN * (value === null ? negativeTtlMs : ttlMs);
    if (loadMs < 0 || freshUntilMs > Date.now() + freshMsMax) return false;
    return value === null ? negativeTtlMs > 0 : fits(value, id);
  }

  /** Loads once for all waiting callers. One that joined a load that may be out of date loads again. */
  async #share(
    id: string,
    { text }: Lookup<T>,
    load: (signal: AbortSignal) => Promise<T | null>,
    signal: AbortSignal | undefined,
  ): Promise<T | null> {
    let isOwn = false;
    const work = (shared: AbortSignal) => {
      isOwn = true;
      return this.#load(id, text, load, shared);
    };
    const first = await this.#flights.run(id, work, signal);
    if (isOwn || first.isCurrent) return first.value;
    return (await this.#flights.run(id, work, signal)).value;
  }

  async #load(
    id: string,
    seen: string | null | undefined,
    load: (signal: AbortSignal) => Promise<T | null>,
    signal: AbortSignal,
  ): Promise<Loaded<T>> {
    const { changes, ttlMs, staleMs, negativeTtlMs } = this.#options;
    this.stats.loads++;
    const startMs = performance.now();
    const value = await load(signal);
    const loadMs = Math.round(performance.now() - startMs);
    const isImmutable = !changes && value !== null;
    if (seen === undefined || loadMs > CHANGE_MARK_MS / 2) return { value, isCurrent: isImmutable };
    const freshMs = Math.round(
      (value === null ? negativeTtlMs : ttlMs) * (1 - JITTER + 2 * JITTER * Math.random()),
    );
    const text = JSON.stringify({ freshUntilMs: Date.now() + freshMs, loadMs, value } satisfies Entry);
    const storedMs = value === null ? freshMs : freshMs + staleMs;
    const isStored = await this.#store(
      id,
      seen,
      storedMs > 0 && text.length <= TEXT_CHARS_MAX ? text : null,
      storedMs,
    );
    return { value, isCurrent: isImmutable || isStored };
  }

  /** Replaces `seen` with the text; null removes it, whether it was a deleted value or an invalid entry. */
  async #store(id: string, seen: string | null, text: string | null, ttlMs: number): Promise<boolean> {
    if (text === null && seen === null) return false;
    try {
      return await this.#options.cache.replace(this.#keyOf(id), seen, text, ttlMs);
    } catch {
      this.#countError();
      return false;
    }
  }
}

/**
 * Whether to load an entry again: when it has expired, and with some probability shortly before, so that one reader
 * reloads it while the others still have it (XFetch; Vattani et al., Optimal Probabilistic Cache Stampede Prevention,
 * 2015).
 */
function isDue({ freshUntilMs, loadMs }: Entry): boolean {
  return Date.now() - loadMs * Math.log(1 - Math.random()) >= freshUntilMs;
}

function readEntry(text: string): Entry | null {
  let entry: unknown;
  try {
    entry = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof entry !== 'object' || entry === null) return null;
  const { freshUntilMs, loadMs, value } = entry as Partial<Entry>;
  return typeof freshUntilMs === 'number' && typeof loadMs === 'number' && value !== undefined
    ? { freshUntilMs, loadMs, value }
    : null;
}

/** Whether a load failed because its source is unavailable, slow or full, rather than because of the request. */
function isOutage(error: unknown): boolean {
  return error instanceof AtlasError && OUTAGES.includes(error.code);
}

function tooLate(error: unknown): AtlasError {
  return error instanceof AtlasError
    ? error
    : new AtlasError('deadline_exceeded', 'The deadline passed while a value was being loaded.', {
        cause: error,
      });
}
