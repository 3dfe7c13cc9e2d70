import { AtlasError } from '../../../errors.ts';
import type { Expected } from '../../../http/etag.ts';
import { isTooLarge, metadataTooLarge } from '../../../http/metadata-size.ts';
import type { Abortable } from '../../../utils/abortable.ts';
import type { Actor } from '../../../utils/actor.ts';
import type { AcceptsFrom, Account, NewAccount } from './domain.ts';
import type { AccountPosition, AccountRepository } from './repository.ts';

/** Operations on accounts. All throw `AtlasError`. */
export interface AccountService {
  /** Opens an account. If it exists with the same ID and content, returns it with `created` false. */
  open(
    id: string | undefined,
    owner: string,
    content: NewAccount,
    actor: Actor,
    signal?: AbortSignal,
  ): Promise<{ account: Account; created: boolean }>;
  find(owner: string, id: string, caller?: Abortable): Promise<Account>;
  /** Sets whose transfers the account accepts. Throws `precondition_failed` if it is in none of the revisions. */
  accept(
    owner: string,
    id: string,
    expected: Expected,
    acceptsFrom: AcceptsFrom,
    actor: Actor,
    signal?: AbortSignal,
  ): Promise<Account>;
  list(
    owner: string,
    after: AccountPosition | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<{ accounts: Account[]; next: AccountPosition | null }>;
  /** Whether nobody has an account. Reads one if there is, as requests do, so it throws if that fails. */
  isEmpty(signal?: AbortSignal): Promise<boolean>;
}

export function createAccountService(repository: AccountRepository): AccountService {
  async function find(owner: string, id: string, caller?: Abortable): Promise<Account> {
    const account = await repository.find(owner, id, caller);
    if (account === null) throw notFound(id);
    return account;
  }

  return {
    async open(id, owner, content, actor, signal) {
      // One that exists may have more metadata than a new one. Of others, the response must not reveal that they exist.
      if (
        isTooLarge(content.metadata) &&
        (id === undefined || (await repository.find(owner, id))?.owner !== owner)
      )
        throw metadataTooLarge([['/metadata', content.metadata]]);
      const opened = await repository.create(id ?? Bun.randomUUIDv7(), owner, content, actor, signal);
      // One text, so that it does not reveal what has the ID.
      if (!opened?.same)
        throw new AtlasError('account_id_taken', `The ID ${id} is not available: it is taken or reserved.`);
      return { account: opened.account, created: opened.created };
    },
    find,
    async accept(owner, id, expected, acceptsFrom, actor, signal) {
      const changed = await repository.accept(owner, id, expected, acceptsFrom, actor, signal);
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
