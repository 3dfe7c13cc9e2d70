import { AtlasError } from '../../../errors.ts';
import type { Expected } from '../../../http/etag.ts';
import { isTooLarge, metadataTooLarge } from '../../../http/metadata-size.ts';
import type { Abortable } from '../../../utils/abortable.ts';
import type { Actor } from '../../../utils/actor.ts';
import type { Idempotency } from '../../idempotency.ts';
import { ACCEPTS_UP_TO_DEFAULT, type AcceptanceChange, type Account, type NewAccount } from '../account.ts';
import type { AgePosition } from '../age-cursor.ts';
import type { AccountRepository } from './repository.ts';

/** Operations on accounts. All throw `AtlasError`. */
export interface AccountService {
  /**
   * Opens an account. If it exists with the same ID and content, returns it with `created` false. `replayed`: an earlier
   * request with the Idempotency-Key did so.
   */
  open(
    id: string | undefined,
    owner: string,
    content: NewAccount,
    actor: Actor,
    signal?: AbortSignal,
    idempotencyKey?: string,
  ): Promise<{ account: Account; created: boolean; replayed: boolean }>;
  find(owner: string, id: string, caller?: Abortable): Promise<Account>;
  /** Changes what the account accepts from others. Throws `precondition_failed` if it is in none of the revisions. */
  accept(
    owner: string,
    id: string,
    expected: Expected,
    change: AcceptanceChange,
    actor: Actor,
    signal?: AbortSignal,
  ): Promise<Account>;
  list(
    owner: string,
    after: AgePosition | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<{ accounts: Account[]; next: AgePosition | null }>;
  /** Whether nobody has an account. Reads one if there is, as requests do, so it throws if that fails. */
  isEmpty(signal?: AbortSignal): Promise<boolean>;
}

/**
 * What a retry gets. The organizations that it accepts may be many, and are in the retry. One that existed is read
 * again: those of earlier releases may be too large to store twice.
 */
type Opened = { readonly created: Account } | { readonly existingId: string };

export function createAccountService(
  repository: AccountRepository,
  idempotency: Idempotency,
): AccountService {
  async function find(owner: string, id: string, caller?: Abortable): Promise<Account> {
    const account = await repository.find(owner, id, caller);
    if (account === null) throw notFound(id);
    return account;
  }

  return {
    async open(id, owner, content, actor, signal, key) {
      // One that exists may have more metadata than a new one. Of others, the response must not reveal that they exist.
      if (
        isTooLarge(content.metadata) &&
        (id === undefined || (await repository.find(owner, id))?.owner !== owner)
      )
        throw metadataTooLarge([['/metadata', content.metadata]]);
      let existing: Account | undefined;
      const { result, replayed } = await idempotency.run<Opened>(
        { owner, key, content: ['openAccount', id ?? null, content] },
        async (tx) => {
          const options = { signal, tx };
          const opened = await repository.create(id ?? Bun.randomUUIDv7(), owner, content, actor, options);
          // One text, so that it does not reveal what has the ID.
          if (!opened?.same)
            throw new AtlasError(
              'account_id_taken',
              `The ID ${id} is not available: it is taken or reserved.`,
            );
          if (opened.created) return { created: { ...opened.account, acceptsFrom: null } };
          existing = opened.account;
          return { existingId: existing.id };
        },
        signal,
      );
      if ('created' in result) {
        // What an earlier release has stored lacks these.
        const { acceptsFrom = null, acceptsUpTo = ACCEPTS_UP_TO_DEFAULT } = content;
        const nothing: Partial<Account> = { debitsPending: 0, creditsPending: 0 };
        const account = { ...nothing, ...result.created, acceptsFrom, acceptsUpTo };
        return { account, created: true, replayed };
      }
      const account = existing ?? (await find(owner, result.existingId));
      return { account, created: false, replayed };
    },
    find,
    async accept(owner, id, expected, change, actor, signal) {
      const changed = await repository.accept(owner, id, expected, change, actor, signal);
      if (changed !== null) return changed;
      // While organizations are not isolated, it may be readable and still belong to another one.
      if ((await find(owner, id)).owner !== owner) throw notFound(id);
      throw new AtlasError('precondition_failed', 'The account has changed since you read it.');
    },
    list: repository.list,
    isEmpty: async (signal) => (await repository.oldest(signal)) === null,
  };
}

function notFound(id: string): AtlasError {
  return new AtlasError('account_not_found', `Account ${id} does not exist.`);
}
