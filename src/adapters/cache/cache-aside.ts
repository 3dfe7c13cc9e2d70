import { AtlasError, type ErrorCode } from '../../errors.ts';
import { SingleFlight } from '../../utils/single-flight.ts';
import type { Cache } from './cache.ts';

/** What is kept in a cache, and for how long. `T` is what JSON can hold. */
export interface CacheAsideOptions<T> {
  readonly cache: Cache;
  /** Begins its keys and labels its metrics. A new shape of `T` needs a new name: old and new workers run together. */
  readonly name: string;
  /** How long a value is used, give or take a tenth: what was loaded together does not expire together. */
  readonly ttlMs: number;
  /** How much longer it is used while its source cannot be reached. */
  readonly staleMs: number;
  /** How long it is remembered that there is nothing. 0 where something may still come to be. */
  readonly negativeTtlMs: number;
  /** Whether a value can become another one, or go. Such values are kept only in a cache that all workers share. */
  readonly changes: boolean;
  /** Whether what was read is a value, and the one of this id. */
  fits(value: unknown, id: string): value is T;
}

/** What the readers of a cache have seen, since the start. */
export interface CacheAsideStats {
  hits: number;
  /** Hits on the knowledge that there is nothing. */
  negatives: number;
  misses: number;
  /** Values served beyond their time because their source could not be reached. */
  stale: number;
  /** Calls of the cache that failed. The readers did not notice. */
  errors: number;
  /** Values asked of the source: fewer than misses, as callers share them. */
  loads: number;
}

interface Entry {
  /** When it is to be loaded anew (milliseconds since 1970), and how long loading took: see `isDue`. */
  readonly freshUntilMs: number;
  readonly loadMs: number;
  readonly value: unknown;
}

/** What a look into the cache found. `text` is as it was seen there; undefined when the cache could not be asked. */
interface Look<T> {
  readonly text: string | null | undefined;
  readonly entry: (Entry & { readonly value: T | null }) | null;
}

interface Loaded<T> {
  readonly value: T | null;
  /** Whether it was true when its load ended. A caller that came meanwhile must not be told what was true before. */
  readonly isCurrent: boolean;
}

const OUTAGES: readonly ErrorCode[] = ['dependency_unavailable', 'deadline_exceeded', 'overloaded'];
const FLIGHTS_MAX = 1024;
const TEXT_CHARS_MAX = 65_536;
const JITTER = 0.1;
// A load that takes longer than half of it is not kept, so a load that began before a change never outlives its mark.
const CHANGE_MARK_MS = 60_000;

/**
 * Reads values through a cache and loads those that it does not have. Nothing that is wrong with the cache reaches the
 * caller: it is asked within its own short time, and what it says is checked.
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
   * The value of the id, or null where there is none. Throws what `load` throws, and `deadline_exceeded` when the
   * signal aborts. `load` gets a signal of its own, as others may be waiting for the same value.
   */
  async find(
    id: string,
    load: (signal: AbortSignal) => Promise<T | null>,
    signal?: AbortSignal,
  ): Promise<T | null> {
    const { cache, changes } = this.#options;
    if (changes && !cache.isShared) return load(signal ?? new AbortController().signal);
    const look = await this.#look(id, signal);
    if (look.entry !== null && !isDue(look.entry)) {
      if (look.entry.value === null) this.stats.negatives++;
      else this.stats.hits++;
      return look.entry.value;
    }
    this.stats.misses++;
    try {
      return await this.#share(id, look, load, signal);
    } catch (error) {
      if (signal?.aborted) throw tooLate(error);
      if (look.entry === null || look.entry.value === null || !isOutage(error)) throw error;
      this.stats.stale++;
      return look.entry.value;
    }
  }

  /**
   * Call it when the value of the id has changed, after the change was committed. Leaves a mark that keeps loads of
   * before from being stored (as the leases of Nishtala et al., Scaling Memcache at Facebook, 2013). Never throws:
   * where the cache cannot be reached, the old value may be read there until its time is over.
   */
  async forget(id: string): Promise<void> {
    const { cache, changes } = this.#options;
    this.#flights.forget(id);
    if (changes && !cache.isShared) return;
    const mark = `changed ${Bun.randomUUIDv7()}`;
    await cache.set(this.#keyOf(id), mark, CHANGE_MARK_MS).catch(this.#failed);
  }

  #keyOf(id: string): string {
    return `${this.#options.name}:${id}`;
  }

  readonly #failed = (): void => {
    this.stats.errors++;
  };

  async #look(id: string, signal: AbortSignal | undefined): Promise<Look<T>> {
    const { cache, fits } = this.#options;
    let text: string | null;
    try {
      text = await cache.get(this.#keyOf(id), signal);
    } catch {
      if (!signal?.aborted) this.#failed();
      return { text: undefined, entry: null };
    }
    const entry = text === null ? null : readEntry(text);
    const isFit = entry !== null && (entry.value === null || fits(entry.value, id));
    return { text, entry: isFit ? (entry as Entry & { value: T | null }) : null };
  }

  /** Loads once for all that wait. Who has joined a load that may tell of the past has another one, which cannot. */
  async #share(
    id: string,
    { text }: Look<T>,
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
    const isForEver = !changes && value !== null;
    if (seen === undefined || loadMs > CHANGE_MARK_MS / 2) return { value, isCurrent: isForEver };
    const freshMs = Math.round(
      (value === null ? negativeTtlMs : ttlMs) * (1 - JITTER + 2 * JITTER * Math.random()),
    );
    const text = JSON.stringify({ freshUntilMs: Date.now() + freshMs, loadMs, value } satisfies Entry);
    const keptMs = value === null ? freshMs : freshMs + staleMs;
    const isStored = await this.#store(
      id,
      seen,
      keptMs > 0 && text.length <= TEXT_CHARS_MAX ? text : null,
      keptMs,
    );
    return { value, isCurrent: isForEver || isStored };
  }

  /** Puts the text where `seen` was; null takes that away, be it a value that is gone or what is no value at all. */
  async #store(id: string, seen: string | null, text: string | null, ttlMs: number): Promise<boolean> {
    if (text === null && seen === null) return false;
    try {
      return await this.#options.cache.replace(this.#keyOf(id), seen, text, ttlMs);
    } catch {
      this.#failed();
      return false;
    }
  }
}

/**
 * Whether an entry is to be loaded anew: when its time is over, and by chance shortly before, so that one of many
 * readers does it while the others still have a value (XFetch; Vattani et al., Optimal Probabilistic Cache Stampede
 * Prevention, 2015).
 */
function isDue({ freshUntilMs, loadMs }: Entry): boolean {
  return Date.now() - loadMs * Math.log(1 - Math.random()) >= freshUntilMs;
}

function readEntry(text: string): Entry | null {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof read !== 'object' || read === null) return null;
  const { freshUntilMs, loadMs, value } = read as Partial<Entry>;
  return typeof freshUntilMs === 'number' && typeof loadMs === 'number' && value !== undefined
    ? { freshUntilMs, loadMs, value }
    : null;
}

/** Whether a load failed because its source is away, slow or full; not for what was asked of it. */
function isOutage(error: unknown): boolean {
  return error instanceof AtlasError && OUTAGES.includes(error.code);
}

function tooLate(error: unknown): AtlasError {
  return error instanceof AtlasError
    ? error
    : new AtlasError('deadline_exceeded', 'The deadline passed while a value was loaded.', { cause: error });
}
