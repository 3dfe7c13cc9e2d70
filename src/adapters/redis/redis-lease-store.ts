import { createHash } from 'node:crypto';
import type { Redis } from './redis.ts';

/** What was begun with a server that was slow then would keep this worker waiting when the server is not any more. */
const OPENING_MS_MAX = 500;

/** One script over one hash of Redis. */
export interface RedisLeaseStoreOptions {
  /** A connection of its own, which this store may drop and in the end closes. */
  readonly redis: Redis;
  readonly script: string;
  /** Separates deployments that share one Redis. */
  readonly prefix: string;
}

/**
 * Keeps the account of the permits in Redis: each call is one command, which runs the script with the arguments `now`
 * (empty: by the clock of Redis), the server's run id, and those given.
 */
export class RedisLeaseStore {
  readonly #redis: Redis;
  readonly #script: string;
  readonly #digest: string;
  readonly #key: string;
  // Which server this connection leads to; null until it has said so.
  #runId: string | null = null;
  #isLoaded = false;
  #openingMs = performance.now();
  #commands = 0;
  #tellReady: () => void = () => {};

  constructor({ redis, script, prefix }: RedisLeaseStoreOptions) {
    this.#redis = redis;
    this.#script = script;
    this.#digest = createHash('sha1').update(script).digest('hex');
    // The braces keep all keys of a deployment in one slot, should the server be a cluster.
    this.#key = `atlas:{${prefix}}:permits`;
    redis.on('connecting', () => {
      this.#openingMs = performance.now();
    });
    redis.on('ready', () => void this.#greet());
    redis.on('close', () => {
      this.#runId = null;
    });
    if (redis.status === 'ready') void this.#greet();
  }

  onReady(listener: () => void): void {
    this.#tellReady = listener;
  }

  /** Commands sent since the start, those that make a connection ready included. */
  get commands(): number {
    return this.#commands;
  }

  /** Runs the script. Rejects at once where there is no connection; a silent server is for the caller to notice. */
  async call(args: readonly (string | number)[]): Promise<readonly number[]> {
    if (this.#runId === null) throw new Error('There is no connection to Redis.');
    const all = [this.#key, '', this.#runId, ...args];
    this.#commands++;
    // The first call of a connection brings the script along, so that the server has it from then on.
    if (!this.#isLoaded) {
      const answer = (await this.#redis.eval(this.#script, 1, ...all)) as number[];
      this.#isLoaded = true;
      return answer;
    }
    try {
      return (await this.#redis.evalsha(this.#digest, 1, ...all)) as number[];
    } catch (error) {
      // Somebody flushed the scripts. The next call brings it; repeating this one could bring it late.
      if (error instanceof Error && error.message.startsWith('NOSCRIPT')) this.#isLoaded = false;
      throw error;
    }
  }

  /** Drops the connection; the client opens another one by itself. One that is just being opened is left alone. */
  reconnect(): void {
    const { status, stream } = this.#redis;
    const isOpening = status === 'connecting' || status === 'connect';
    if (isOpening ? performance.now() < this.#openingMs + OPENING_MS_MAX : status !== 'ready') return;
    this.#runId = null;
    this.#redis.disconnect(true);
    // A silent server never answers the polite end of a connection.
    stream?.destroy();
  }

  close(): void {
    this.#redis.disconnect();
  }

  /** Asks the server who it is, once for each connection: another one may not know what the last one was told. */
  async #greet(): Promise<void> {
    this.#isLoaded = false;
    const { stream } = this.#redis;
    // One for the client's name, one for this question.
    this.#commands += 2;
    try {
      const info = await this.#redis.info('server');
      const runId = /^run_id:(\w+)/m.exec(info)?.[1];
      if (stream !== this.#redis.stream || !runId) return;
      this.#runId = runId;
      this.#tellReady();
    } catch {
      // The connection is gone or too slow; the next one asks again.
    }
  }
}
