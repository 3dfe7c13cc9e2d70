import { AtlasError } from '../../errors.ts';
import { networkOf } from '../../utils/ip-address.ts';
import { passwordThread } from './password-thread.ts';

// Of a random text that nobody has, with the parameters of the others: for when there is none to compare with.
const NOBODYS = [
  '$argon2id$v=19$m=19456,t=2,p=1',
  'aOQMiRbqOP8vdzzghkOX/pcnu8en+ehF0jf7URimTGk',
  'Cthh6UQ0uYKZUi9rCuUs0BSjZqsHMFa0OHxl0+ThIZM',
].join('$');
const WAITING_MAX = 32;
const WAITING_PER_NETWORK_MAX = 4;
const RETRY_AFTER_SECONDS = 2;

/** Hashes of passwords since the start of this process, and those that wait. */
export interface PasswordHashStats {
  readonly waiting: number;
  readonly hashes: number;
  readonly refused: number;
}

/** For whom a password is hashed. */
export interface HashCaller {
  /** The address of the client. */
  readonly address: string;
  readonly signal: AbortSignal;
}

/**
 * Hashes and verifies passwords with Argon2id, one at a time: it takes a core, which payments need too. The queue is
 * bounded, and so is the part of it that one client can have, who may have a whole network of addresses.
 */
export class PasswordHasher {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #hashes = 0;
  #refused = 0;
  readonly #ofNetwork = new Map<string, number>();

  /**
   * Returns the hash of a password in PHC format. Throws `sign_in_overloaded` or `too_many_attempts` if too many wait,
   * and the reason of the signal if it aborts before it is the turn of this one.
   */
  hash(password: string, { address, signal }: HashCaller): Promise<string> {
    return this.#run(address, signal, () => passwordThread.hash(password));
  }

  /**
   * Returns whether the password has this hash. It takes as long without a hash, and is false then. Throws like
   * {@link hash}.
   */
  verify(password: string, hash: string | null, { address, signal }: HashCaller): Promise<boolean> {
    return this.#run(address, signal, async () => {
      const isSame = await passwordThread.verify(password, hash ?? NOBODYS);
      return isSame && hash !== null;
    });
  }

  /** Throws if another one would be refused now, before anything is done for it. */
  requireRoom(address: string): void {
    if (this.#waiting >= WAITING_MAX)
      throw this.#refuse('sign_in_overloaded', 'Too many people sign in at once.');
    if ((this.#ofNetwork.get(networkOf(address)) ?? 0) >= WAITING_PER_NETWORK_MAX)
      throw this.#refuse('too_many_attempts', 'Too many attempts from your address are in progress.');
  }

  get stats(): PasswordHashStats {
    return { waiting: this.#waiting, hashes: this.#hashes, refused: this.#refused };
  }

  async #run<T>(address: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    this.requireRoom(address);
    this.#waiting++;
    const network = networkOf(address);
    this.#ofNetwork.set(network, (this.#ofNetwork.get(network) ?? 0) + 1);
    const turn = this.#last.then(() => {
      signal.throwIfAborted();
      this.#hashes++;
      return work();
    });
    this.#last = turn.catch(() => {});
    try {
      return await turn;
    } finally {
      this.#waiting--;
      const left = this.#ofNetwork.get(network)! - 1;
      if (left === 0) this.#ofNetwork.delete(network);
      else this.#ofNetwork.set(network, left);
    }
  }

  #refuse(code: 'sign_in_overloaded' | 'too_many_attempts', detail: string): AtlasError {
    this.#refused++;
    return new AtlasError(code, detail, { retryAfterSeconds: RETRY_AFTER_SECONDS });
  }
}
