import { isDeepStrictEqual } from 'node:util';
import type { Outcome, PostRequest } from '../../../src/features/ledger/movement.ts';
import type { MovementModel } from '../../contract/ledger/movement-model.ts';

/** What an account has, and what stops it, as the API returns it. */
export interface AccountState {
  readonly debitsPosted: number;
  readonly creditsPosted: number;
  readonly debitsPending: number;
  readonly creditsPending: number;
  readonly debitsFrozen: boolean;
  readonly creditsFrozen: boolean;
  readonly closed: boolean;
}

/** One of these is set. */
export type AccountChange = Partial<Pick<AccountState, 'debitsFrozen' | 'creditsFrozen' | 'closed'>>;

/** A call with its final response. It took effect at one moment between its start and its end. */
export type Call = {
  readonly startMs: number;
  readonly endMs: number;
  /** For the report of a divergence. */
  readonly shown: string;
} & (
  | {
      readonly kind: 'post';
      readonly request: PostRequest;
      readonly outcomes: readonly Outcome[];
      /** The outcomes that the response has, if it does not have all. */
      namedOf?(outcomes: readonly Outcome[]): readonly Outcome[];
    }
  | { readonly kind: 'read'; readonly accountId: string; readonly found: AccountState }
  | {
      readonly kind: 'change';
      readonly accountId: string;
      readonly change: AccountChange;
      readonly outcome: 'changed' | 'account_not_empty';
    }
);

// With the few calls of a step there are a handful. More would mean that the search does not tell states apart.
const WORLDS_MAX = 2000;

/** What Atlas did that no order of the calls explains. */
export class Divergence extends Error {}

/**
 * Every state that the ledger may be in after the calls so far, each a model: what Wing and Gong's check of
 * linearizability searches (Testing and Verifying Concurrent Objects, 1993). Calls of one step run at once, so each
 * order of them is tried. A hold that is about to expire adds choices: it may be past at a call or not, and released or
 * not.
 */
export class Worlds {
  #worlds: readonly MovementModel[];
  readonly #expiries = new Map<string, number>();

  constructor(first: MovementModel) {
    this.#worlds = [first];
  }

  /** Notes when a hold expires. */
  expires(holdId: string, expiresAtMs: number): void {
    this.#expiries.set(holdId, expiresAtMs);
  }

  /** The holds of which it is open whether they have expired. */
  get expiring(): readonly string[] {
    return [...this.#expiries.keys()].filter((id) =>
      this.#worlds.some(({ state }) => state.holds.get(id)?.state === 'pending'),
    );
  }

  /** Keeps the states in which some order of the calls has led to their outcomes. Throws if there are none. */
  observe(calls: readonly Call[]): void {
    let reached = new Map<string, [world: MovementModel, done: number]>();
    for (const world of this.#worlds) reached.set(`0 ${keyOf(world)}`, [world, 0]);
    for (let taken = 0; taken < calls.length; taken++) {
      const next: typeof reached = new Map();
      for (const [world, done] of reached.values())
        for (const [i, call] of calls.entries()) {
          if ((done & (1 << i)) !== 0) continue;
          for (const after of this.#after(world, call))
            next.set(`${done | (1 << i)} ${keyOf(after)}`, [after, done | (1 << i)]);
        }
      reached = next;
    }
    this.#keep(
      [...reached.values()].map(([world]) => world),
      `calls at once:\n${calls.map(({ shown }) => `  ${shown}`).join('\n')}`,
    );
  }

  /** Keeps the states that the condition holds in. Throws if there are none. */
  require(what: string, holds: (world: MovementModel) => boolean): void {
    this.#keep(this.#worlds.filter(holds), what);
  }

  /** Keeps the states that the condition holds in after expiries until now. Throws if there are none. */
  requireLater(what: string, holds: (world: MovementModel) => boolean): void {
    const now = Date.now();
    const later = this.#worlds.flatMap((world) => this.#withExpiries(world, { startMs: now, endMs: now }));
    this.#keep(later.filter(holds), what);
  }

  #keep(worlds: readonly MovementModel[], what: string): void {
    if (worlds.length === 0) {
      const states = this.#worlds.slice(0, 3).map((world) => JSON.stringify(stateOf(world)));
      throw new Divergence(
        `No state explains ${what}\nbefore, one of ${this.#worlds.length} states:\n  ${states.join('\n  ')}`,
      );
    }
    if (worlds.length > WORLDS_MAX)
      throw new Error(`${worlds.length} states are possible; the programs are too wild.`);
    this.#worlds = [...new Map(worlds.map((world) => [keyOf(world), world])).values()];
  }

  #after(world: MovementModel, call: Call): MovementModel[] {
    return this.#withExpiries(world, call).filter((before) => {
      if (call.kind === 'read') return isDeepStrictEqual(accountIn(before, call.accountId), call.found);
      if (call.kind === 'change') return change(before, call.accountId, call.change) === call.outcome;
      const outcomes = before.post(call.request);
      return isDeepStrictEqual(call.namedOf?.(outcomes) ?? outcomes, call.outcomes);
    });
  }

  /** Returns forks of a state, one for each way in which holds may have expired before the call. */
  #withExpiries(world: MovementModel, { startMs, endMs }: Pick<Call, 'startMs' | 'endMs'>): MovementModel[] {
    let worlds = [world.fork()];
    for (const [id, expiresAtMs] of this.#expiries) {
      if (world.state.holds.get(id)?.state !== 'pending' || expiresAtMs > endMs) continue;
      worlds = worlds.flatMap((before) => {
        const past = before.fork();
        past.pass(id);
        const released = past.fork();
        released.expire(id);
        const mustBePast = startMs > expiresAtMs || before.state.holds.get(id)!.isPast;
        return mustBePast ? [past, released] : [before, past, released];
      });
    }
    return worlds;
  }
}

/** Returns an account as it is in a state. */
export function accountIn({ state }: MovementModel, accountId: string): AccountState {
  const { debits, credits, debitsPending, creditsPending, ...account } = state.accounts.get(accountId)!;
  const { debitsFrozen, creditsFrozen, closed } = account;
  const sums = { debitsPosted: debits, creditsPosted: credits, debitsPending, creditsPending };
  return { ...sums, debitsFrozen, creditsFrozen, closed };
}

function change(
  { state }: MovementModel,
  accountId: string,
  changed: AccountChange,
): 'changed' | 'account_not_empty' {
  const account = state.accounts.get(accountId)!;
  const { debits, credits, debitsPending, creditsPending } = account;
  const isEmpty = debits === credits && debitsPending === 0 && creditsPending === 0;
  if (changed.closed && !account.closed && !isEmpty) return 'account_not_empty';
  Object.assign(account, changed);
  return 'changed';
}

function stateOf(world: MovementModel) {
  const { state } = world;
  const accounts = [...state.accounts.keys()].map((id) => Object.values(accountIn(world, id)).map(Number));
  const holds = [...state.holds].map(([id, { posted, state: is, isPast }]) => [id, posted, is, isPast]);
  const transfers = [...state.transfers].map(([id, { reversed }]) => [id, reversed]);
  return { accounts, holds: holds.sort(), transfers: transfers.sort() };
}

function keyOf(world: MovementModel): string {
  return JSON.stringify(stateOf(world));
}
