import type { Movement, PostRequest } from '../../../src/features/ledger/movement.ts';
import { MovementModel } from '../../contract/ledger/movement-model.ts';
import type { ApiCaller } from '../../support/api-caller.ts';
import type { AccountResource } from '../../support/ledger-steps.ts';
import { until } from '../../support/until.ts';
import { type Final, finalResponse, idOf, outcomesOf } from './final-response.ts';
import { ACCOUNTS, type DrawnCall, FUNDS, type Program } from './program.ts';
import { type Call, Divergence, type Sums, sumsOf, Worlds } from './worlds.ts';

const OWNER = 'the caller';
const TEXT = { reference: null, metadata: {} };
const OPEN = { debitsFrozen: false, creditsFrozen: false, closed: false };
const EMPTY = { debits: 0, credits: 0, debitsPending: 0, creditsPending: 0 };
const EXPIRES_SOON_SECONDS = 1;
const EXPIRES_LATE_SECONDS = 86_400;
const GIVE_UP_MS = 90_000;

/** What happened while programs ran. */
export interface ProofStats {
  calls: number;
  refused: number;
  /** Attempts without a final response: cut off, refused under load, or while something was down. */
  retried: number;
}

interface Sent {
  readonly path: string;
  readonly json: object | undefined;
  readonly key: string;
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** Runs a program on accounts of its own. Throws a {@link Divergence} if no order of its calls explains the results. */
export async function runProgram(atlas: ApiCaller, steps: Program, stats: ProofStats): Promise<void> {
  const run = new ProgramRun(atlas, stats);
  await run.open();
  for (const step of steps) await run.take(step);
  await run.settle();
}

class ProgramRun {
  readonly #atlas: ApiCaller;
  readonly #stats: ProofStats;
  readonly #id = crypto.randomUUID();
  readonly #accountIds: string[] = [];
  readonly #worlds: Worlds;
  readonly #model = new MovementModel(true);
  readonly #holds: string[] = [];
  readonly #transfers: string[] = [];
  readonly #sent: Sent[] = [];
  #keys = 0;

  constructor(atlas: ApiCaller, stats: ProofStats) {
    this.#atlas = atlas;
    this.#stats = stats;
    this.#worlds = new Worlds(this.#model);
  }

  async open(): Promise<void> {
    for (const { ledger, allowNegative } of ACCOUNTS) {
      const id = crypto.randomUUID();
      await this.#final('POST', '/v1/accounts', { id, ledger, allowNegative }, this.#nextKey());
      this.#accountIds.push(id);
      const floor = allowNegative ? null : 0;
      const limits = { acceptsFrom: null, floor, ceiling: null };
      this.#model.state.accounts.set(id, { ledger, owner: OWNER, ...limits, ...OPEN, ...EMPTY });
    }
    const funds = { kind: 'transfer' as const, debit: 0, amount: FUNDS };
    await this.take([1, 2].map((credit) => ({ ...funds, credit })));
  }

  async take(step: readonly DrawnCall[]): Promise<void> {
    const calls = await Promise.all(step.map((drawn) => this.#call(drawn)));
    this.#worlds.observe(calls.filter((call) => call !== null));
    for (const call of calls) {
      if (call?.kind !== 'post') continue;
      for (const [i, order] of call.request.orders.entries()) {
        if (call.outcomes[i] !== 'posted') continue;
        if (order.kind === 'hold') this.#holds.push(order.id);
        else if (order.kind !== 'void') this.#transfers.push(order.id);
      }
    }
  }

  /** Waits for the last expiries, and compares all that there is with the states that are possible. */
  async settle(): Promise<void> {
    for (const id of this.#worlds.expiring)
      await until(async () => (await this.#read(`/v1/holds/${id}`)).state !== 'pending', {
        deadlineMs: GIVE_UP_MS,
        what: `the expiry of hold ${id}`,
      });
    for (const id of this.#accountIds) {
      const { version, ...account } = (await this.#read(`/v1/accounts/${id}`)) as unknown as AccountResource &
        Sums;
      const found = sumsIn(account);
      this.#worlds.requireLater(`${JSON.stringify({ version, ...found })} of account ${id}`, (world) => {
        const moved = [...world.state.transfers.values()].filter(
          ({ debit, credit }) => debit === id || credit === id,
        );
        return JSON.stringify(sumsOf(world, id)) === JSON.stringify(found) && moved.length === version;
      });
    }
    for (const id of this.#holds) {
      const { state, posted, remaining } = (await this.#read(`/v1/holds/${id}`)) as unknown as HoldResource;
      this.#worlds.require(`hold ${id}: ${state}, ${posted} posted, ${remaining} remaining`, (world) => {
        const hold = world.state.holds.get(id)!;
        return (
          hold.state === state &&
          hold.posted === posted &&
          (state === 'pending' ? hold.amount - posted : 0) === remaining
        );
      });
    }
    for (const id of this.#transfers) {
      const page = (await this.#read(`/v1/transfers/${id}/reversals`)) as unknown as {
        transfers: { amount: number }[];
      };
      const reversed = page.transfers.reduce((sum, { amount }) => sum + amount, 0);
      this.#worlds.require(
        `${reversed} reversed of transfer ${id}`,
        ({ state }) => state.transfers.get(id)!.reversed === reversed,
      );
    }
  }

  async #call(drawn: DrawnCall): Promise<Call | null> {
    if (drawn.kind === 'replay') return this.#replay(drawn.back);
    if (drawn.kind === 'read') {
      const accountId = this.#accountIds[drawn.account]!;
      const { body, ...times } = await this.#final('GET', `/v1/accounts/${accountId}`);
      const sums = sumsIn(body as unknown as Sums);
      return {
        kind: 'read',
        accountId,
        sums,
        ...times,
        shown: `read ${accountId} -> ${JSON.stringify(sums)}`,
      };
    }
    const { path, json, orders, atomic = false } = this.#requestOf(drawn);
    const key = this.#nextKey();
    const { status, body, ...times } = await this.#final('POST', path, json, key);
    this.#sent.push({ path, json, key, status, body });
    const outcomes = outcomesOf(status, body, orders.length);
    if (outcomes.some((outcome) => outcome !== 'posted')) this.#stats.refused++;
    const found = orders.map((order, i) => ({ ...order, id: idOf(body, i) ?? order.id }));
    if (drawn.kind === 'hold' && outcomes[0] === 'posted' && drawn.expiresSoon) {
      const lifeMs = 1000 * EXPIRES_SOON_SECONDS;
      this.#worlds.expires(found[0]!.id, {
        earliestMs: times.startMs + lifeMs,
        latestMs: times.endMs + lifeMs,
      });
    }
    const request: PostRequest = { owner: OWNER, key, fingerprint: '', atomic, orders: found };
    const shown = `${path} ${JSON.stringify(json)} -> ${outcomes.join(', ')} in ${times.endMs - times.startMs} ms`;
    return { kind: 'post', request, outcomes, ...times, shown };
  }

  /** Sends an earlier request again: it must return the same, and have no effect. */
  async #replay(back: number): Promise<null> {
    const earlier = this.#sent.at(-1 - back);
    if (earlier === undefined) return null;
    const { status, body } = await this.#final('POST', earlier.path, earlier.json, earlier.key);
    const [is, was] = [body, earlier.body].map(({ requestId: _, ...rest }) => JSON.stringify(rest));
    // A hold is shown as it is now.
    const isSame = status < 300 && !/\/(void|holds)$/.test(earlier.path) ? is === was : true;
    if (Math.floor(status / 100) !== Math.floor(earlier.status / 100) || !isSame)
      throw new Divergence(
        `${earlier.path} under ${earlier.key} returned ${earlier.status} ${was}, then ${status} ${is}`,
      );
    return null;
  }

  #requestOf(drawn: Exclude<DrawnCall, { kind: 'read' | 'replay' }>): {
    path: string;
    json?: object;
    orders: readonly Movement[];
    atomic?: boolean;
  } {
    const id = crypto.randomUUID();
    const ids = { id, formerId: id };
    if (drawn.kind === 'batch') {
      const transfers = drawn.transfers.map((item) => this.#sidesOf(item));
      const orders = transfers.map((item) => ({ id: crypto.randomUUID(), ...item, ...TEXT }));
      return {
        path: '/v1/transfers/batch',
        json: { transfers, atomic: drawn.atomic },
        orders,
        atomic: drawn.atomic,
      };
    }
    if (drawn.kind === 'post' || drawn.kind === 'void') {
      const holdId = this.#holds.at(-1 - drawn.back) ?? crypto.randomUUID();
      const path = `/v1/holds/${holdId}/${drawn.kind}`;
      if (drawn.kind === 'void') return { path, orders: [{ kind: 'void', id, holdId }] };
      const { amount, keepRest } = drawn;
      return {
        path,
        json: { amount, keepRest },
        orders: [{ kind: 'post', ...ids, holdId, amount, keepRest, ...TEXT }],
      };
    }
    if (drawn.kind === 'reverse') {
      const transferId = this.#transfers.at(-1 - drawn.back) ?? crypto.randomUUID();
      const { amount, force } = drawn;
      const order = { kind: 'reverse' as const, ...ids, transferId, amount, force, ...TEXT };
      return { path: `/v1/transfers/${transferId}/reverse`, json: { amount, force }, orders: [order] };
    }
    const sides = this.#sidesOf(drawn);
    if (drawn.kind === 'transfer')
      return { path: '/v1/transfers', json: sides, orders: [{ id, ...sides, ...TEXT }] };
    const expiresInSeconds = drawn.expiresSoon ? EXPIRES_SOON_SECONDS : EXPIRES_LATE_SECONDS;
    const json = { ...sides, expiresInSeconds };
    return { path: '/v1/holds', json, orders: [{ kind: 'hold', id, ...json, ...TEXT }] };
  }

  #sidesOf({ debit, credit, amount }: { debit: number; credit: number; amount: number }) {
    return { debitAccountId: this.#accountIds[debit]!, creditAccountId: this.#accountIds[credit]!, amount };
  }

  #nextKey(): string {
    return `${this.#id}-${this.#keys++}`;
  }

  async #read(path: string): Promise<Record<string, unknown>> {
    return (await this.#final('GET', path)).body;
  }

  #final(method: string, path: string, json?: object, key?: string): Promise<Final> {
    this.#stats.calls++;
    const onRetry = () => {
      this.#stats.retried++;
    };
    return finalResponse(this.#atlas, method, path, { json, ...(key !== undefined && { key }), onRetry });
  }
}

interface HoldResource {
  readonly state: string;
  readonly posted: number;
  readonly remaining: number;
}

function sumsIn({ debitsPosted, creditsPosted, debitsPending, creditsPending }: Sums): Sums {
  return { debitsPosted, creditsPosted, debitsPending, creditsPending };
}
