import { AtlasError } from '../../../errors.ts';
import type { Abortable } from '../../../utils/abortable.ts';
import { DEFAULT_EXPIRY_SECONDS, type Hold, type HoldContent, toHoldId } from '../hold.ts';
import { sortMembers, type Transfer } from '../movement.ts';
import type { Posted, RequestIdentity, Submit } from '../submit.ts';
import type { HoldRepository } from './repository.ts';

/** A hold as requested. A member that is null is absent. */
export interface NewHold {
  readonly debitAccountId: string;
  readonly creditAccountId: string;
  readonly amount: number;
  readonly expiresInSeconds?: number | null | undefined;
  readonly reference?: string | null | undefined;
  readonly metadata?: Readonly<Record<string, string>> | null | undefined;
}

/** A post as requested: of all that remains, unless it names an amount. */
export interface NewPost {
  readonly amount?: number | null | undefined;
  readonly keepRest?: boolean | null | undefined;
  readonly reference?: string | null | undefined;
  readonly metadata?: Readonly<Record<string, string>> | null | undefined;
}

/** Operations on holds. All throw `AtlasError`, and a refusal under its code. */
export interface HoldService {
  /** `existed`: it was made before by a request with this key, whose record has expired. `id` is for demo data. */
  create(
    identity: RequestIdentity,
    hold: NewHold,
    caller?: Abortable,
    id?: string,
  ): Promise<Posted<{ hold: Hold; existed: boolean }>>;
  post(
    identity: RequestIdentity,
    holdId: string,
    post: NewPost,
    caller?: Abortable,
  ): Promise<Posted<{ transfer: Transfer; existed: boolean }>>;
  void(identity: RequestIdentity, holdId: string, caller?: Abortable): Promise<Posted<Hold>>;
  find(owner: string, id: string, signal?: AbortSignal): Promise<Hold>;
  listByAccount: HoldRepository['listByAccount'];
}

export function createHoldService(repository: HoldRepository, submit: Submit): HoldService {
  return {
    async create(identity, hold, caller, id) {
      const content: HoldContent = {
        debitAccountId: hold.debitAccountId,
        creditAccountId: hold.creditAccountId,
        amount: hold.amount,
        expiresInSeconds: hold.expiresInSeconds ?? DEFAULT_EXPIRY_SECONDS,
        reference: hold.reference ?? null,
        metadata: sortMembers(hold.metadata ?? {}),
      };
      const { result, replayed } = await submit.one(
        identity,
        content,
        (derived) => ({ kind: 'hold', id: id ?? toHoldId(derived.id), ...content }),
        caller,
      );
      return { result: { hold: result.hold!, existed: result.outcome === 'exists' }, replayed };
    },
    async post(identity, holdId, post, caller) {
      const content = {
        holdId,
        amount: post.amount ?? null,
        keepRest: post.keepRest ?? false,
        reference: post.reference ?? null,
        metadata: sortMembers(post.metadata ?? {}),
      };
      const { result, replayed } = await submit.one(
        identity,
        content,
        (derived) => ({ kind: 'post', ...derived, ...content }),
        caller,
      );
      return { result: { transfer: result.transfer!, existed: result.outcome === 'exists' }, replayed };
    },
    async void(identity, holdId, caller) {
      const { result, replayed } = await submit.one(
        identity,
        {},
        ({ id }) => ({ kind: 'void', id, holdId }),
        caller,
      );
      return { result: result.hold!, replayed };
    },
    async find(owner, id, signal) {
      const hold = await repository.find(owner, id, signal);
      if (hold === null) throw new AtlasError('hold_not_found', `Hold ${id} does not exist.`);
      return hold;
    },
    listByAccount: repository.listByAccount,
  };
}
