import { isDeepStrictEqual } from 'node:util';
import type { Outcome, PostRequest } from '../../../src/features/ledger/movement.ts';
import type { MovementModel } from '../../contract/ledger/movement-model.ts';

/** What an account has, as the API returns it. */
export interface Sums {
  readonly debitsPosted: number;
  readonly creditsPosted: number;
  readonly debitsPending: number;
  readonly creditsPending: number;
}

/** A call with its final response. It took effect at one moment between its start and its end. */
export type Call = {
  readonly startMs: number;
  readonly endMs: number;
  /** For the report of a divergence. */
  readonly shown: string;
} & (
  | { readonly kind: 'post'; readonly request: PostRequest; readonly outcomes: readonly Outcome[] }
  | { readonly kind: 'read'; readonly accountId: string; readonly sums: Sums }
);

/** When a hold that expires soon was requested and confirmed, by which it is known when it can and must be past. */
interface Expiry {
  readonly earliestMs: number;
  readonly latestMs: number;
}

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
  readonly #expiries = new Map<string, Expiry>();

  constructor(first: MovementModel) {
    this.#worlds = [first];
  }

  /** Notes that a hold can be past its expiry from a moment on, and must be from another one on. */
  expires(holdId: string, expiry: Expiry): void {
    this.#expiries.set(holdId, expiry);
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
      if (call.kind === 'read') return isDeepStrictEqual(sumsOf(before, call.accountId), call.sums);
      return isDeepStrictEqual(before.post(call.request), call.outcomes);
    });
  }

  /** Returns forks of a state, one for each way in which holds may have expired before the call. */
  #withExpiries(world: MovementModel, { startMs, endMs }: Pick<Call, 'startMs' | 'endMs'>): MovementModel[] {
    let worlds = [world.fork()];
    for (const [id, { earliestMs, latestMs }] of this.#expiries) {
      if (world.state.holds.get(id)?.state !== 'pending' || earliestMs > endMs) continue;
      worlds = worlds.flatMap((before) => {
        const past = before.fork();
        past.pass(id);
        const released = past.fork();
        released.expire(id);
        const mustBePast = startMs > latestMs || before.state.holds.get(id)!.isPast;
        return mustBePast ? [past, released] : [before, past, released];
      });
    }
    return worlds;
  }
}

/** Returns what an account has in a state. */
export function sumsOf({ state }: MovementModel, accountId: string): Sums {
  const { debits, credits, debitsPending, creditsPending } = state.accounts.get(accountId)!;
  return { debitsPosted: debits, creditsPosted: credits, debitsPending, creditsPending };
}

function stateOf({ state }: MovementModel) {
  const accounts = [...state.accounts.values()].map(({ debits, credits, debitsPending, creditsPending }) => [
    debits,
    credits,
    debitsPending,
    creditsPending,
  ]);
  const holds = [...state.holds].map(([id, { posted, state: is, isPast }]) => [id, posted, is, isPast]);
  const transfers = [...state.transfers].map(([id, { reversed }]) => [id, reversed]);
  return { accounts, holds: holds.sort(), transfers: transfers.sort() };
}

function keyOf(world: MovementModel): string {
  return JSON.stringify(stateOf(world));
}
