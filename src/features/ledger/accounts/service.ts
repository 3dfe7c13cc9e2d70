import { AtlasError } from '../../../errors.ts';
import type { Expected } from '../../../http/etag.ts';
import { isTooLarge, metadataTooLarge } from '../../../http/metadata-size.ts';
import type { Abortable } from '../../../utils/abortable.ts';
import type { Actor } from '../../../utils/actor.ts';
import { Turns } from '../../../utils/turns.ts';
import type { Idempotency, Tx } from '../../idempotency.ts';
import {
  ACCEPTS_UP_TO_DEFAULT,
  type Account,
  type AccountChange,
  type AccountToOpen,
  type NewAccount,
  UNPLACED,
} from '../account.ts';
import { refusalOfChange, refusalOfParent } from '../account-refusals.ts';
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
  /** Opens all of the accounts, parents before their children, or none. `root`: the parent that others have. */
  openAll(
    owner: string,
    accounts: readonly AccountToOpen[],
    root: string | null,
    actor: Actor,
    options: { readonly tx: Tx | undefined; readonly signal: AbortSignal | undefined },
  ): Promise<void>;
  find(owner: string, id: string, caller?: Abortable): Promise<Account>;
  /**
   * Changes an account, also one that is closed. Throws `precondition_failed` if it is in none of the revisions, and why
   * its balance or its tree do not allow the change.
   */
  change(
    owner: string,
    id: string,
    expected: Expected,
    change: AccountChange,
    actor: Actor,
    signal?: AbortSignal,
  ): Promise<Account>;
  /** Closes an account, or opens it again. Throws `account_not_empty` unless all that it has is zero. */
  setClosed(
    owner: string,
    id: string,
    expected: Expected,
    closed: boolean,
    actor: Actor,
    signal?: AbortSignal,
  ): Promise<Account>;
  list: AccountRepository['list'];
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
  // Accounts with a parent wait for the trees of their owner, and must not take the connections of others meanwhile.
  const turns = new Turns();

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
      requireRoomForZero(content);
      let existing: Account | undefined;
      const request = { owner, key, content: ['openAccount', id ?? null, content] as const };
      const run = () =>
        idempotency.run<Opened>(
          request,
          async (tx) => {
            const options = { signal, tx };
            const opened = await repository.create(id ?? Bun.randomUUIDv7(), owner, content, actor, options);
            if (opened !== null && 'refusal' in opened)
              throw refusalOfParent(opened.refusal, content.parentId!);
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
      const { result, replayed } = await (content.parentId ? turns.run(owner, run, signal) : run());
      if ('created' in result) {
        // What an earlier release has stored lacks these.
        const { acceptsFrom = null, acceptsUpTo = ACCEPTS_UP_TO_DEFAULT } = content;
        const nothing = {
          ...UNPLACED,
          debitsFrozen: false,
          creditsFrozen: false,
          debitsPending: 0,
          creditsPending: 0,
          closedAt: null,
        };
        const account = { ...nothing, ...result.created, acceptsFrom, acceptsUpTo };
        return { account, created: true, replayed };
      }
      const account = existing ?? (await find(owner, result.existingId));
      return { account, created: false, replayed };
    },
    async openAll(owner, accounts, root, actor, options) {
      const large = accounts.flatMap(({ metadata }, i) =>
        isTooLarge(metadata) ? [[`/accounts/${i}/metadata`, metadata] as const] : [],
      );
      if (large.length > 0) throw metadataTooLarge(large);
      const refusal = await repository.createAll(owner, accounts, actor, options);
      if (refusal !== null) throw refusalOfParent(refusal, root ?? '');
    },
    find,
    ...createChanging(repository),
    list: repository.list,
    isEmpty: async (signal) => (await repository.oldest(signal)) === null,
  };
}

function createChanging({
  change: write,
}: Pick<AccountRepository, 'change'>): Pick<AccountService, 'change' | 'setClosed'> {
  async function change(...[owner, id, expected, to, ...by]: Parameters<AccountRepository['change']>) {
    const done = await write(owner, id, expected, to, ...by);
    if ('account' in done) return done.account;
    if (done.refusal === 'account_not_found') throw notFound(id);
    throw refusalOfChange(done.refusal, to);
  }

  return {
    async change(owner, id, expected, to, actor, signal) {
      if (to.metadata !== undefined && isTooLarge(to.metadata))
        throw metadataTooLarge([['/metadata', to.metadata]]);
      return change(owner, id, expected, to, 'updated', actor, signal);
    },
    setClosed: (owner, id, expected, closed, actor, signal) =>
      change(owner, id, expected, { closed }, closed ? 'closed' : 'reopened', actor, signal),
  };
}

/** A new account has nothing, which its limits must allow. */
function requireRoomForZero({ balanceMin = null, balanceMax = null }: NewAccount): void {
  if (balanceMin !== null && balanceMin > 0)
    throw new AtlasError('balance_below_limit', 'A new account has 0, which is less than `balanceMin`.');
  if (balanceMax !== null && balanceMax < 0)
    throw new AtlasError('balance_above_limit', 'A new account has 0, which is more than `balanceMax`.');
}

function notFound(id: string): AtlasError {
  return new AtlasError('account_not_found', `Account ${id} does not exist.`);
}
