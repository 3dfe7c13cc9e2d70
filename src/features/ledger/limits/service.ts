import { AtlasError } from '../../../errors.ts';
import type { Expected } from '../../../http/etag.ts';
import type { Actor } from '../../../utils/actor.ts';
import { Turns } from '../../../utils/turns.ts';
import type { Idempotency } from '../../idempotency.ts';
import type { AgePosition } from '../age-cursor.ts';
import type { Limit, LimitChange, LimitWithAccounts, LimitWriter, NewLimit } from '../limit-content.ts';
import type { LimitRefusal, LimitRepository } from './repository.ts';

/**
 * Limits across accounts of one owner. All throw `AtlasError`. Once a change has returned, every later payment is subject
 * to it.
 */
export interface LimitService {
  create(
    writer: LimitWriter,
    content: NewLimit,
    actor: Actor,
    signal?: AbortSignal,
    idempotencyKey?: string,
  ): Promise<{ limit: LimitWithAccounts; replayed: boolean }>;
  /** Creates a limit of the organization with an ID that nobody else can choose. Returns false if it exists already. */
  createOnce(owner: string, id: string, content: NewLimit, actor: Actor): Promise<boolean>;
  change(
    writer: LimitWriter,
    id: string,
    expected: Expected,
    change: LimitChange,
    actor: Actor,
    signal?: AbortSignal,
  ): Promise<LimitWithAccounts>;
  remove(writer: LimitWriter, id: string, actor: Actor, signal?: AbortSignal): Promise<void>;
  find(owner: string, id: string, signal?: AbortSignal): Promise<LimitWithAccounts>;
  list(
    owner: string,
    after: AgePosition | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<{ limits: Limit[]; next: AgePosition | null }>;
  /** Throws `organization_not_found` if there is none with the ID. */
  requireOrganization(id: string, signal?: AbortSignal): Promise<void>;
  purge(): Promise<void>;
}

export function createLimitService(repository: LimitRepository, idempotency: Idempotency): LimitService {
  // A batch of payments waits for the changes of its limits that came before it, and everybody waits for the batch.
  const turns = new Turns();

  async function find(owner: string, id: string, signal?: AbortSignal): Promise<LimitWithAccounts> {
    const limit = await repository.find(owner, id, { signal });
    if (limit === null) throw notFound(id);
    return limit;
  }

  return {
    async create(writer, content, actor, signal, key) {
      const { owner, isOperator } = writer;
      const id = Bun.randomUUIDv7();
      const request = { owner, key, content: ['createLimit', isOperator, content] as const };
      const { result, replayed } = await turns.run(
        owner,
        () =>
          idempotency.run<{ limit: LimitWithAccounts }>(
            { ...request, content: [...request.content] },
            async (tx) => {
              const refusal = await repository.create(id, writer, content, actor, { signal, tx });
              if (refusal !== null) throw refused(id, refusal);
              const limit = await repository.find(owner, id, { signal, tx });
              // The accounts are in the retry.
              return { limit: { ...limit!, accountIds: null } };
            },
            signal,
          ),
        signal,
      );
      await repository.settle(signal);
      const accountIds = content.accountIds && [...new Set(content.accountIds)].sort();
      return { limit: { ...result.limit, accountIds }, replayed };
    },
    async createOnce(owner, id, content, actor) {
      const isNew = await turns.run(owner, async () => {
        if (await repository.exists(id)) return false;
        const refusal = await repository.create(id, { owner, isOperator: false }, content, actor, {});
        if (refusal !== null) throw refused(id, refusal);
        return true;
      });
      await repository.settle();
      return isNew;
    },
    async change(writer, id, expected, change, actor, signal) {
      const { owner } = writer;
      const write = () => repository.change(id, writer, expected, change, actor, signal);
      const refusal = await turns.run(owner, write, signal);
      if (refusal !== null) throw refused(id, refusal);
      await repository.settle(signal);
      return find(owner, id, signal);
    },
    async remove(writer, id, actor, signal) {
      const write = () => repository.remove(id, writer, actor, signal);
      const refusal = await turns.run(writer.owner, write, signal);
      if (refusal !== null) throw refused(id, refusal);
      await repository.settle(signal);
    },
    find,
    list: repository.list,
    async requireOrganization(id, signal) {
      if (!(await repository.isOrganization(id, signal)))
        throw new AtlasError('organization_not_found', `There is no organization ${id}.`);
    },
    purge: repository.purge,
  };
}

function notFound(id: string): AtlasError {
  return new AtlasError('limit_not_found', `Limit ${id} does not exist.`);
}

function refused(id: string, { outcome, accountNo }: LimitRefusal): AtlasError {
  if (outcome === 'limit_not_found') return notFound(id);
  const at = (detail: string) => [{ pointer: `/accountIds/${accountNo! - 1}`, detail }];
  switch (outcome) {
    case 'unknown_account':
      return new AtlasError(outcome, 'Your organization has no such account; see `errors`.', {
        errors: at('is no account of your organization'),
      });
    case 'different_ledgers':
      return new AtlasError(outcome, 'The account is on another ledger than the limit; see `errors`.', {
        errors: at('is on another ledger'),
      });
    case 'too_many_account_limits':
      return new AtlasError('too_many_limits', 'The account is in as many limits as it may be.', {
        errors: at('is in as many limits as an account may be'),
      });
    case 'no_accounts':
      return invalid('/accountIds', 'The limit is one of all accounts, so it has no group.');
    case 'no_maximum':
      return invalid('/maxima', 'The limit must have at least one maximum.');
    default:
      return new AtlasError(outcome, DETAILS[outcome]);
  }
}

const DETAILS = {
  too_many_limits: 'Your organization has as many limits as it may have.',
  limit_of_operator: 'An operator has set the limit.',
  precondition_failed: 'The limit has changed since you read it.',
} as const;

function invalid(pointer: string, detail: string): AtlasError {
  return new AtlasError('invalid_request', 'The request does not match the limit; see `errors`.', {
    errors: [{ pointer, detail }],
  });
}
