import { Dependency } from '../../resilience/dependency.ts';
import type { Redis } from '../redis/redis.ts';
import type { Cache } from './cache.ts';

export interface RedisCacheOptions {
  /** A connection of its own, which this cache may drop and in the end closes. */
  readonly redis: Redis;
  /** Separates deployments that share one Redis. */
  readonly prefix: string;
  /** How long one command may take. */
  readonly timeoutMs: number;
  /** Of the breaker: see `CIRCUIT_BREAKER_*`. */
  readonly failureThreshold: number;
  readonly recoveryTimeoutMs: number;
}

// All go over one connection in turn, so many at a time cost Redis no more than a few.
const COMMANDS_MAX = 512;
// Timeouts are counted here, where a loop that was held up is told from a Redis that is slow.
const DEPENDENCY_TIMEOUT_MS = 1000;

/** KEYS[1], whether the caller has seen a text there, that text, the new one, and its time (0: none) as ARGV. */
const REPLACE = `
local found = redis.call('GET', KEYS[1])
if ARGV[1] == '0' then
  if found then return 0 end
elseif found ~= ARGV[2] then
  return 0
end
if ARGV[4] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
end
return 1`;

/** Keeps texts in Redis, under `<prefix>:cache:<key>`, each with an expiry. No command is waited for beyond its time. */
export class RedisCache implements Cache {
  readonly isShared = true;
  readonly dependency: Dependency;
  readonly #redis: Redis;
  readonly #prefix: string;
  readonly #timeoutMs: number;

  constructor({ redis, prefix, timeoutMs, failureThreshold, recoveryTimeoutMs }: RedisCacheOptions) {
    this.#redis = redis;
    this.#prefix = `${prefix}:cache:`;
    this.#timeoutMs = timeoutMs;
    this.dependency = new Dependency({
      name: 'redis-cache',
      concurrencyMax: COMMANDS_MAX,
      waitingMax: 0,
      timeoutFloorMs: DEPENDENCY_TIMEOUT_MS,
      timeoutMaxMs: DEPENDENCY_TIMEOUT_MS,
      attemptsMax: 1,
      failureThreshold,
      recoveryTimeoutMs,
      // Who asks for a cache gets by without it, so one that answers with errors is left alone like one that is gone.
      isFailure: () => true,
      probe: () => this.#probe(),
      unavailable: (cause) => new Error('The cache in Redis cannot be used.', { cause }),
    });
  }

  get(key: string, signal?: AbortSignal): Promise<string | null> {
    const name = this.#prefix + key;
    return this.#call(
      'get',
      () =>
        this.#redis.get(name).catch((error: Error) => {
          // Something else has taken the name. It is in the way for as long as it is there.
          if (!error.message.startsWith('WRONGTYPE')) throw error;
          return this.#redis.del(name).then(() => null);
        }),
      signal,
    );
  }

  async set(key: string, text: string, ttlMs: number): Promise<void> {
    await this.#call('set', () => this.#redis.set(this.#prefix + key, text, 'PX', Math.ceil(ttlMs)));
  }

  async replace(key: string, seen: string | null, text: string | null, ttlMs: number): Promise<boolean> {
    const time = text === null ? 0 : Math.ceil(ttlMs);
    const change = [seen === null ? '0' : '1', seen ?? '', text ?? '', time];
    return (
      (await this.#call('eval', () => this.#redis.eval(REPLACE, 1, this.#prefix + key, ...change))) === 1
    );
  }

  stats(): null {
    return null;
  }

  close(): void {
    this.dependency.close();
    this.#redis.disconnect();
  }

  #call<T>(operation: string, send: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.dependency.call(operation, () => answered(send(), this.#timeoutMs), signal && { signal });
  }

  /** A connection on which nothing is answered is dropped; the client opens another one by itself. */
  async #probe(): Promise<void> {
    const { status, stream } = this.#redis;
    try {
      await answered(this.#redis.ping(), this.#timeoutMs);
    } catch (error) {
      if (status === 'ready' && this.#redis.status === 'ready' && this.#redis.stream === stream) {
        this.#redis.disconnect(true);
        // A silent server never answers the polite end of a connection.
        stream?.destroy();
      }
      throw error;
    }
  }
}

/** Rejects when the answer takes longer. What was sent stays sent: its answer is read and dropped when it comes. */
function answered<T>(answer: Promise<T>, timeoutMs: number): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const giveUp = () => reject(new Error(`Redis did not answer within ${timeoutMs} ms.`));
    // A loop that was held up sees its timers before the answers that came meanwhile, so these get one more turn.
    let timer = setTimeout(() => {
      timer = setTimeout(giveUp, 0);
    }, timeoutMs);
    answer.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}
