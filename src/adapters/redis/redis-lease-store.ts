import { createHash } from 'node:crypto';
import type { Redis } from './redis.ts';

// A connection attempt that started while the server was slow would delay this worker after the server has recovered.
const OPENING_MS_MAX = 500;

export interface RedisLeaseStoreOptions {
  /** A dedicated connection, which this store may drop, and closes in the end. */
  readonly redis: Redis;
  readonly script: string;
  /** Separates deployments that share a Redis. */
  readonly prefix: string;
}

/**
 * Keeps the account of the permits in a hash of Redis. Each call is one command, which runs the script with `now`
 * (empty: use the clock of Redis), the run id of the server, and the given arguments.
 */
export class RedisLeaseStore {
  readonly #redis: Redis;
  readonly #script: string;
  readonly #digest: string;
  readonly #key: string;
  // Identifies the server of this connection; null until it is known.
  #runId: string | null = null;
  #isLoaded = false;
  #openingMs = performance.now();
  #commands = 0;
  #onReady: () => void = () => {};

  constructor({ redis, script, prefix }: RedisLeaseStoreOptions) {
    this.#redis = redis;
    this.#script = script;
    this.#digest = createHash('sha1').update(script).digest('hex');
    // The braces keep all keys of a deployment in one slot of a Redis cluster.
    this.#key = `atlas:{${prefix}}:permits`;
    redis.on('connecting', () => {
      this.#openingMs = performance.now();
    });
    redis.on('ready', () => void this.#identify());
    redis.on('close', () => {
      this.#runId = null;
    });
    if (redis.status === 'ready') void this.#identify();
  }

  onReady(listener: () => void): void {
    this.#onReady = listener;
  }

  /** Commands sent since the start, including those that set up a connection. */
  get commands(): number {
    return this.#commands;
  }

  /** Runs the script. Rejects immediately if there is no connection. Callers detect a silent server themselves. */
  async call(args: readonly (string | number)[]): Promise<readonly number[]> {
    if (this.#runId === null) throw new Error('Not connected to Redis.');
    const all = [this.#key, '', this.#runId, ...args];
    this.#commands++;
    // The first call of a connection sends the script, which the server then caches.
    if (!this.#isLoaded) {
      const reply = (await this.#redis.eval(this.#script, 1, ...all)) as number[];
      this.#isLoaded = true;
      return reply;
    }
    try {
      return (await this.#redis.evalsha(this.#digest, 1, ...all)) as number[];
    } catch (error) {
      // The scripts were flushed. The next call sends it again; a retry of this one could arrive too late.
      if (error instanceof Error && error.message.startsWith('NOSCRIPT')) this.#isLoaded = false;
      throw error;
    }
  }

  /** Drops the connection, and the client opens another one. Leaves a recent connection attempt alone. */
  reconnect(): void {
    const { status, stream } = this.#redis;
    const isOpening = status === 'connecting' || status === 'connect';
    if (isOpening ? performance.now() < this.#openingMs + OPENING_MS_MAX : status !== 'ready') return;
    this.#runId = null;
    this.#redis.disconnect(true);
    // A silent server never completes an orderly disconnect.
    stream?.destroy();
  }

  close(): void {
    this.#redis.disconnect();
  }

  /** Reads the run id, once per connection: another server may not have the data of the last one. */
  async #identify(): Promise<void> {
    this.#isLoaded = false;
    const { stream } = this.#redis;
    // One sets the client name, and one is this INFO.
    this.#commands += 2;
    try {
      const info = await this.#redis.info('server');
      const runId = /^run_id:(\w+)/m.exec(info)?.[1];
      if (stream !== this.#redis.stream || !runId) return;
      this.#runId = runId;
      this.#onReady();
    } catch {
      // The connection is lost or too slow; the next one tries again.
    }
  }
}
