import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';

/** What is to be done with a password: hash it, or compare it with a hash. */
export interface PasswordTask {
  readonly id: number;
  readonly password: string;
  /** Null to get a hash. */
  readonly hash: string | null;
}

/** The hash, or whether the password has the given one; or why neither can be said. */
export interface PasswordResult {
  readonly id: number;
  readonly result: string | boolean | Error;
}

// OWASP Password Storage Cheat Sheet: Argon2id with 19 MiB and two passes. One hash takes about 40 ms of a core.
const PARAMETERS = { algorithm: 'argon2id', memoryCost: 19_456, timeCost: 2 } as const;
// Payments that are ready to run get ten times the time of this thread.
const NICENESS = 10;

/** Linux has a priority for each thread; elsewhere all threads of a process have the same. */
function giveWay(): void {
  try {
    setPriority(Number(/\d+$/.exec(readlinkSync('/proc/thread-self'))![0]), NICENESS);
  } catch {
    // Passwords are hashed all the same.
  }
}

giveWay();
parentPort!.on('message', ({ id, password, hash }: PasswordTask) => {
  parentPort!.postMessage({ id, result: resultOf(password, hash) } satisfies PasswordResult);
});

function resultOf(password: string, hash: string | null): PasswordResult['result'] {
  try {
    return hash === null
      ? Bun.password.hashSync(password, PARAMETERS)
      : Bun.password.verifySync(password, hash);
  } catch (error) {
    return error as Error;
  }
}
