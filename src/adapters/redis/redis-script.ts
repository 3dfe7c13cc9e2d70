import { createHash } from 'node:crypto';
import type { Redis } from './redis.ts';

export interface RedisScriptOptions {
  readonly redis: Redis;
  readonly script: string;
  /** Separates deployments that share a Redis. */
  readonly prefix: string;
  /** What the keys are of, such as `quotas`. */
  readonly what: string;
}

/** Runs a script on some of its keys, in one command. */
export class RedisScript {
  readonly #redis: Redis;
  readonly #script: string;
  readonly #digest: string;
  readonly #keyPrefix: string;

  constructor({ redis, script, prefix, what }: RedisScriptOptions) {
    this.#redis = redis;
    this.#script = script;
    this.#digest = createHash('sha1').update(script).digest('hex');
    // The braces keep all keys of a deployment in one slot of a Redis cluster.
    this.#keyPrefix = `atlas:{${prefix}}:${what}:`;
  }

  /** Rejects immediately if there is no connection. Callers detect a silent server themselves. */
  async run(names: readonly string[], args: readonly (string | number)[]): Promise<readonly number[]> {
    const all = [...names.map((name) => this.#keyPrefix + name), ...args];
    try {
      return (await this.#redis.evalsha(this.#digest, names.length, ...all)) as number[];
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      // The server is new, or its scripts were flushed. It caches what it runs.
      return (await this.#redis.eval(this.#script, names.length, ...all)) as number[];
    }
  }
}
