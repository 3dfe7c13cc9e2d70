import { Worker } from 'node:worker_threads';
import type { PasswordResult, PasswordTask } from './password-worker.ts';

interface Pending {
  resolve(result: string | boolean): void;
  reject(error: Error): void;
}

/**
 * A thread of this process that hashes passwords, so that it can have a lower priority than the one that serves
 * requests. It starts with the first password, and again after it crashed.
 */
class PasswordThread {
  readonly #pending = new Map<number, Pending>();
  #worker: Worker | null = null;
  #tasks = 0;

  /** Returns the Argon2id hash of a password in PHC format. */
  async hash(password: string): Promise<string> {
    return (await this.#run(password, null)) as string;
  }

  /** Returns whether a password has this hash. */
  async verify(password: string, hash: string): Promise<boolean> {
    return (await this.#run(password, hash)) as boolean;
  }

  #run(password: string, hash: string | null): Promise<string | boolean> {
    this.#worker ??= this.#start();
    const id = this.#tasks++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#worker!.postMessage({ id, password, hash } satisfies PasswordTask);
    });
  }

  #start(): Worker {
    const worker = new Worker(new URL('./password-worker.ts', import.meta.url));
    worker.on('message', ({ id, result }: PasswordResult) => {
      const pending = this.#pending.get(id);
      this.#pending.delete(id);
      if (result instanceof Error) pending?.reject(result);
      else pending?.resolve(result);
    });
    worker.on('error', (error) => this.#crashed(worker, error as Error));
    worker.on('exit', () => this.#crashed(worker, new Error('The thread that hashes passwords has ended.')));
    // It must not keep the process running. A listener would, so this comes last.
    worker.unref();
    return worker;
  }

  #crashed(worker: Worker, error: Error): void {
    if (this.#worker !== worker) return;
    this.#worker = null;
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}

/** The one of this process. */
export const passwordThread = new PasswordThread();
