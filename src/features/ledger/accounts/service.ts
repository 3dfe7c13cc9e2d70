import { AtlasError } from '../../../errors.ts';
import { isTooLarge, metadataTooLarge } from '../../../http/metadata-size.ts';
import type { Abortable } from '../../../utils/abortable.ts';
import type { Actor } from '../../../utils/actor.ts';
import type { Account, AccountContent } from './domain.ts';
import type { AccountPosition, AccountRepository } from './repository.ts';

/** Operations on accounts. All throw `AtlasError`. */
export interface AccountService {
  /** Opens an account. If it exists with the same ID and content, returns it with `created` false. */
  open(
    id: string | undefined,
    owner: string,
    content: AccountContent,
    actor: Actor,
    signal?: AbortSignal,
  ): Promise<{ account: Account; created: boolean }>;
  find(id: string, caller?: Abortable): Promise<Account>;
  list(
    after: AccountPosition | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<{ accounts: Account[]; next: AccountPosition | null }>;
}

export function createAccountService(repository: AccountRepository): AccountService {
  return {
    async open(id, owner, content, actor, signal) {
      // One that exists may have more metadata than a new one. Of others, the response must not reveal that they exist.
      if (isTooLarge(content.metadata) && (id === undefined || (await repository.find(id))?.owner !== owner))
        throw metadataTooLarge([['/metadata', content.metadata]]);
      const opened = await repository.create(id ?? Bun.randomUUIDv7(), owner, content, actor, signal);
      // One text, so that it does not reveal what has the ID.
      if (!opened?.same)
        throw new AtlasError('account_id_taken', `The ID ${id} is not available: it is taken or reserved.`);
      return { account: opened.account, created: opened.created };
    },
    async find(id, caller) {
      const account = await repository.find(id, caller);
      if (account === null) throw new AtlasError('account_not_found', `Account ${id} does not exist.`);
      return account;
    },
    list: repository.list,
  };
}
