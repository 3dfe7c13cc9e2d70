import { Dependency } from '../../resilience/dependency.ts';
import type { Redis } from '../redis/redis.ts';
import type { Cache } from './cache.ts';

export interface RedisCacheOptions {
  /** A dedicated connection, which this cache may drop, and closes in the end. */
  readonly redis: Redis;
  /** Separates deployments that share a Redis. */
  readonly prefix: string;
  /** Timeout of a command. */
  readonly timeoutMs: number;
  /** Of the circuit breaker: see `CIRCUIT_BREAKER_*`. */
  readonly failureThreshold: number;
  readonly recoveryTimeoutMs: number;
}

// All commands share one connection in order, so many in flight cost Redis no more than a few.
const COMMANDS_MAX = 512;
// Only an upper bound: `withTimeout` measures timeouts, because it can tell a blocked event loop from a slow Redis.
const DEPENDENCY_TIMEOUT_MS = 1000;

/** ARGV: whether the caller has seen a text under KEYS[1], that text, the new one, and its TTL (0: delete). */
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

/** Stores strings in Redis under `<prefix>:cache:<key>`, each with an expiry. Every command has a timeout. */
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
      // Callers do without the cache, so one that returns errors is treated like one that is unavailable.
      isFailure: () => true,
      probe: () => this.#probe(),
      unavailable: (cause) => new Error('The Redis cache is unavailable.', { cause }),
    });
  }

  get(key: string, signal?: AbortSignal): Promise<string | null> {
    const name = this.#prefix + key;
    return this.#call(
      'get',
      () =>
        this.#redis.get(name).catch((error: Error) => {
          // Another data type is stored under the name, and would block it until removed.
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
    const timeMs = text === null ? 0 : Math.ceil(ttlMs);
    const args = [seen === null ? '0' : '1', seen ?? '', text ?? '', timeMs];
    return (await this.#call('eval', () => this.#redis.eval(REPLACE, 1, this.#prefix + key, ...args))) === 1;
  }

  stats(): null {
    return null;
  }

  close(): void {
    this.dependency.close();
    this.#redis.disconnect();
  }

  #call<T>(operation: string, send: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.dependency.call(operation, () => withTimeout(send(), this.#timeoutMs), signal && { signal });
  }

  /** Drops a connection that does not respond; the client then opens another one. */
  async #probe(): Promise<void> {
    const { status, stream } = this.#redis;
    try {
      await withTimeout(this.#redis.ping(), this.#timeoutMs);
    } catch (error) {
      if (status === 'ready' && this.#redis.status === 'ready' && this.#redis.stream === stream) {
        this.#redis.disconnect(true);
        // A silent server never completes an orderly disconnect.
        stream?.destroy();
      }
      throw error;
    }
  }
}

/** Rejects if the reply takes longer. The command is not canceled; its late reply is discarded. */
function withTimeout<T>(reply: Promise<T>, timeoutMs: number): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const fail = () => reject(new Error(`Redis did not respond within ${timeoutMs} ms.`));
    // After a block, the event loop runs timers before it reads replies that have arrived, so these get one more turn.
    let timer = setTimeout(() => {
      timer = setTimeout(fail, 0);
    }, timeoutMs);
    reply.then(
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
