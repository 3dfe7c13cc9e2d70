import { AtlasError } from '../../../errors.ts';
import { networkOf } from '../../../utils/ip-address.ts';
import { LeakyBuckets } from '../../../utils/leaky-buckets.ts';
import {
  type AttemptSubject,
  accountSubject,
  addressSubject,
  knownSubject,
  mailSubject,
  passwordSubject,
  providerSubject,
  secondFactorSubject,
} from './domain.ts';
import type { AttemptRepository } from './repository.ts';

/** An attempt that was let through. It counts as failed until it is settled otherwise. */
export interface Attempt {
  /** It succeeded: the failures before it are forgotten, and the address is known from now on. */
  succeeded(): Promise<void>;
  /** It was not made. */
  dropped(): Promise<void>;
}

/**
 * Slows guessing down: from the fifth failure on, each attempt waits twice as long as the one before it, at most 15
 * minutes. Each 15 minutes without an attempt forgive a failure. Nobody is locked out: an address from which the person
 * has signed in before has its own count, sessions go on, and a mail that resets the password ends the wait. All throw
 * `too_many_attempts` with the time to wait.
 */
export interface Throttle {
  /** Before an attempt to sign in, whether the account exists or not. */
  signIn(email: string, address: string, signal?: AbortSignal): Promise<Attempt>;
  /** Before a mail is sent to a person who is not signed in. */
  mail(address: string, signal?: AbortSignal): Promise<void>;
  /** Before the password of a user who is signed in is compared. */
  password(userId: string, signal?: AbortSignal): Promise<Attempt>;
  /**
   * Before a code of a second factor is compared. It has a count of its own, which only a right code ends: with the
   * mailbox of a person, nobody gets more guesses.
   */
  secondFactor(
    user: { readonly id: string; readonly email: string },
    address: string,
    signal?: AbortSignal,
  ): Promise<Attempt>;
  /** Before the provider is called about a response that somebody brings. */
  provider(address: string, signal?: AbortSignal): Promise<Attempt>;
  /** The person has proven who they are by mail. */
  forgive(email: string): Promise<void>;
  /** Deletes what is too old to matter. */
  forget(): Promise<void>;
}

// What a client may try each second in a worker before PostgreSQL is asked, and how much of it at once. Passwords are
// compared at about 25 a second.
const LOOKUP_MS = 25;
const LOOKUPS_BURST_MS = 80 * LOOKUP_MS;

export function createThrottle(repository: AttemptRepository): Throttle {
  const lookups = new LeakyBuckets(LOOKUPS_BURST_MS);

  /** Refuses a client that floods, without a query: what others need must not wait for its refusals. */
  function pace(address: string): void {
    const network = networkOf(address);
    if (lookups.isFull(network))
      throw new AtlasError(
        'too_many_attempts',
        'Too many attempts from your address. Wait before the next one.',
        {
          retryAfterSeconds: 1,
        },
      );
    lookups.add(network, LOOKUP_MS);
  }

  async function take(subjects: readonly AttemptSubject[], signal?: AbortSignal): Promise<void> {
    const retryAfterSeconds = await repository.take(subjects, signal);
    if (retryAfterSeconds > 0)
      throw new AtlasError('too_many_attempts', 'Too many attempts failed. Wait before the next one.', {
        retryAfterSeconds,
      });
  }

  return {
    async signIn(email, address, signal) {
      pace(address);
      const [known, account] = [knownSubject(email, address), accountSubject(email)];
      const isKnown = await repository.isKnown(known, signal);
      const subjects = isKnown ? [known] : [account, addressSubject(address)];
      await take(subjects, signal);
      return {
        async succeeded() {
          // What others try from elsewhere goes on being counted when the owner signs in as usual.
          if (!isKnown) {
            await repository.putBack([addressSubject(address)]);
            await repository.forgive(account);
          }
          await repository.know(known);
        },
        dropped: () => repository.putBack(subjects),
      };
    },
    async mail(address, signal) {
      pace(address);
      await take([mailSubject(address)], signal);
    },
    async password(userId, signal) {
      const subject = passwordSubject(userId);
      await take([subject], signal);
      return { succeeded: () => repository.forgive(subject), dropped: () => repository.putBack([subject]) };
    },
    async secondFactor({ id, email }, address, signal) {
      const isKnown = await repository.isKnown(knownSubject(email, address), signal);
      const subject = secondFactorSubject(id, isKnown ? address : null);
      await take([subject], signal);
      return { succeeded: () => repository.forgive(subject), dropped: () => repository.putBack([subject]) };
    },
    async provider(address, signal) {
      pace(address);
      const subject = providerSubject(address);
      await take([subject], signal);
      const putBack = () => repository.putBack([subject]);
      return { succeeded: putBack, dropped: putBack };
    },
    forgive: (email) => repository.forgive(accountSubject(email)),
    forget: repository.forget,
  };
}
