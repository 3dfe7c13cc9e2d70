import { orAbort } from './or-abort.ts';

/**
 * Runs work for one key after the other. For what takes the same lock in a database: waiting here holds no connection
 * that others need. The number that wait is that of the callers.
 *
 * @example await turns.run(owner, () => repository.write(owner, document), signal);
 */
export class Turns {
  /** By key, what the next one waits for. */
  readonly #last = new Map<string, Promise<void>>();

  /** Rejects like the work, or when the signal aborts before its turn. */
  async run<T>(key: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const { promise: done, resolve } = Promise.withResolvers<void>();
    this.#last.set(key, done);
    try {
      await (signal ? orAbort(before, signal) : before);
      return await work();
    } finally {
      // Who leaves early must not let the next one in before its turn.
      void before.then(resolve);
      if (this.#last.get(key) === done) void done.then(() => this.#forget(key, done));
    }
  }

  #forget(key: string, done: Promise<void>): void {
    if (this.#last.get(key) === done) this.#last.delete(key);
  }

  /** How many keys have work. */
  get size(): number {
    return this.#last.size;
  }
}
