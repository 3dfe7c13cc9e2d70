import { isDeepStrictEqual } from 'node:util';
import type { Movement, PostRequest } from '../../../src/features/ledger/movement.ts';
import { MovementModel } from '../../contract/ledger/movement-model.ts';
import type { ApiCaller } from '../../support/api-caller.ts';
import { until } from '../../support/until.ts';
import { codeOf, type Final, finalResponse, idOf, outcomesOf } from './final-response.ts';
import { ACCOUNTS, type DrawnCall, type Program } from './program.ts';
import { isTransfer, type Made, type ProgramRequest, postOf, requestOf } from './requests.ts';
import { type AccountChange, type AccountState, accountIn, type Call, Divergence, Worlds } from './worlds.ts';

const OWNER = 'the caller';
const OPEN = { debitsFrozen: false, creditsFrozen: false, closed: false };
const EMPTY = { debits: 0, credits: 0, debitsPending: 0, creditsPending: 0 };
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
  readonly #etags: string[] = [];
  readonly #holds: string[] = [];
  /** The holds that expire soon. */
  readonly #expiring: { readonly id: string; readonly expiresAtMs: number }[] = [];
  readonly #transfers: string[] = [];
  readonly #sent: Sent[] = [];
  #keys = 0;

  constructor(atlas: ApiCaller, stats: ProofStats) {
    this.#atlas = atlas;
    this.#stats = stats;
    this.#worlds = new Worlds(this.#model);
  }

  async open(): Promise<void> {
    for (const { funds: _, ...content } of ACCOUNTS) {
      const id = crypto.randomUUID();
      const { etag } = await this.#final('POST', '/v1/accounts', {
        json: { id, ...content },
        key: this.#nextKey(),
      });
      this.#accountIds.push(id);
      this.#etags.push(etag!);
      const { ledger, allowNegative, balanceMax: ceiling } = content;
      const limits = { acceptsFrom: null, floor: allowNegative ? null : 0, ceiling };
      this.#model.state.accounts.set(id, { ledger, owner: OWNER, ...limits, ...OPEN, ...EMPTY });
    }
    const funded = ACCOUNTS.flatMap(({ funds: amount }, credit) => (amount > 0 ? [{ amount, credit }] : []));
    await this.take(funded.map((one) => ({ kind: 'transfer' as const, debit: 0, ...one })));
  }

  async take(step: readonly DrawnCall[]): Promise<void> {
    const changed = new Set<number>();
    // Of each account, one change at once: see `#change`.
    const calling = step.filter((drawn) => {
      if (drawn.kind !== 'change') return true;
      const isFirst = !changed.has(drawn.account);
      changed.add(drawn.account);
      return isFirst;
    });
    const calls = await Promise.all(calling.map((drawn) => this.#call(drawn)));
    this.#worlds.observe(calls.filter((call) => call !== null));
    for (const call of calls) {
      if (call?.kind !== 'post') continue;
      for (const [i, order] of call.request.orders.entries()) {
        if (call.outcomes[i] !== 'posted') continue;
        if (order.kind === 'hold') this.#holds.push(order.id);
        else if (isTransfer(order)) this.#transfers.push(order.id);
      }
    }
  }

  /**
   * Reverses what is left of some transfers, waits for the last expiries, and compares all that there is with the states
   * that are possible.
   */
  async settle(): Promise<void> {
    // How much of a transfer is left shows only then.
    const last = [0, 1, 2, 3].map((back) => ({ kind: 'reverse' as const, back, amount: null, force: true }));
    await this.take(last);
    for (const id of this.#worlds.expiring)
      await until(async () => (await this.#read(`/v1/holds/${id}`)).state !== 'pending', {
        deadlineMs: GIVE_UP_MS,
        what: `the expiry of hold ${id}`,
      });
    for (const id of this.#accountIds) {
      const { version, ...account } = (await this.#read(`/v1/accounts/${id}`)) as unknown as AccountBody;
      const found = accountOf(account);
      this.#worlds.requireLater(`${JSON.stringify({ version, ...found })} of account ${id}`, (world) => {
        const moved = [...world.state.transfers.values()].filter(
          ({ debit, credit }) => debit === id || credit === id,
        );
        return isDeepStrictEqual(accountIn(world, id), found) && moved.length === version;
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
      const found = accountOf(body as unknown as AccountBody);
      const shown = `read ${accountId} -> ${JSON.stringify(found)}`;
      return { kind: 'read', accountId, found, ...times, shown };
    }
    if (drawn.kind === 'change') return this.#change(drawn.account, drawn.change);
    if (drawn.kind === 'late') return this.#postLate(drawn.back);
    return this.#send(requestOf(drawn, this.#made), drawn.kind === 'hold' && drawn.expiresSoon);
  }

  async #send(
    { path, json, orders, atomic = false, namedOf }: ProgramRequest,
    expiresSoon = false,
  ): Promise<Call> {
    const key = this.#nextKey();
    const { status, body, ...times } = await this.#final('POST', path, { json, key });
    this.#sent.push({ path, json, key, status, body });
    const outcomes = outcomesOf(status, body, orders.length);
    if (outcomes.some((outcome) => outcome !== 'posted')) this.#stats.refused++;
    const newIds = new Map(orders.map(({ id }, i) => [id, idOf(body, i) ?? id]));
    const found = orders.map((order) => renamed(order, newIds));
    if (expiresSoon && outcomes[0] === 'posted') {
      const { id, expiresAt } = body as unknown as HoldResource;
      this.#worlds.expires(id, Date.parse(expiresAt));
      this.#expiring.push({ id, expiresAtMs: Date.parse(expiresAt) });
    }
    const request: PostRequest = { owner: OWNER, key, fingerprint: '', atomic, orders: found };
    return {
      kind: 'post',
      request,
      outcomes,
      ...(namedOf && { namedOf }),
      ...times,
      shown: `${path} ${JSON.stringify(json)} -> ${outcomes.join(', ')} in ${times.endMs - times.startMs} ms`,
    };
  }

  /** Posts a hold that expires soon as early as it must be refused, before anything has released it. */
  async #postLate(back: number): Promise<Call | null> {
    const hold = this.#expiring.at(-1 - back);
    if (hold === undefined) return null;
    await Bun.sleep(Math.max(0, hold.expiresAtMs + 2 - Date.now()));
    return this.#send(postOf(hold.id));
  }

  /**
   * Changes an account, which is in the revision that the step before has left it in. So an attempt takes effect at most
   * once, and after a retry 412 means that an earlier attempt did.
   */
  async #change(account: number, change: AccountChange): Promise<Call> {
    const accountId = this.#accountIds[account]!;
    const path = `/v1/accounts/${accountId}`;
    const ifMatch = this.#etags[account]!;
    const [method, at, json] =
      change.closed === undefined
        ? (['PATCH', path, change] as const)
        : (['POST', `${path}/${change.closed ? 'close' : 'reopen'}`, undefined] as const);
    const { status, body, etag, retries, ...times } = await this.#final(method, at, { json, ifMatch });
    const isRefused = status === 422 && codeOf(body) === 'account_not_empty';
    const isDoneBefore = status === 412 && retries > 0;
    if (status !== 200 && !isRefused && !isDoneBefore)
      throw new Divergence(`${method} ${at} returned ${status} ${JSON.stringify(body)}`);
    if (isDoneBefore) this.#etags[account] = (await this.#final('GET', path)).etag!;
    else if (!isRefused) this.#etags[account] = etag!;
    const outcome = isRefused ? 'account_not_empty' : 'changed';
    const shown = `${method} ${at} ${JSON.stringify(change)} -> ${outcome}`;
    return { kind: 'change', accountId, change, outcome, ...times, shown };
  }

  /** Sends an earlier request again: it must return the same, and have no effect. */
  async #replay(back: number): Promise<null> {
    const earlier = this.#sent.at(-1 - back);
    if (earlier === undefined) return null;
    const { path, json, key } = earlier;
    const { status, body } = await this.#final('POST', path, { json, key });
    const [is, was] = [body, earlier.body].map(({ requestId: _, ...rest }) => JSON.stringify(rest));
    // A hold is shown as it is now.
    const isSame = status < 300 && !/\/(void|holds|sets)$/.test(path) ? is === was : true;
    if (Math.floor(status / 100) !== Math.floor(earlier.status / 100) || !isSame)
      throw new Divergence(`${path} under ${key} returned ${earlier.status} ${was}, then ${status} ${is}`);
    return null;
  }

  #nextKey(): string {
    return `${this.#id}-${this.#keys++}`;
  }

  async #read(path: string): Promise<Record<string, unknown>> {
    return (await this.#final('GET', path)).body;
  }

  #final(
    method: string,
    path: string,
    options: { readonly json?: object | undefined; readonly key?: string; readonly ifMatch?: string } = {},
  ): Promise<Final> {
    this.#stats.calls++;
    const onRetry = () => {
      this.#stats.retried++;
    };
    return finalResponse(this.#atlas, method, path, { ...options, onRetry });
  }

  get #made(): Made {
    return { accountIds: this.#accountIds, holds: this.#holds, transfers: this.#transfers };
  }
}

type AccountBody = Omit<AccountState, 'closed'> & {
  readonly version: number;
  readonly closedAt: string | null;
};

interface HoldResource {
  readonly id: string;
  readonly expiresAt: string;
  readonly state: string;
  readonly posted: number;
  readonly remaining: number;
}

function accountOf(body: Omit<AccountBody, 'version'>): AccountState {
  const { debitsPosted, creditsPosted, debitsPending, creditsPending, ...account } = body;
  const { debitsFrozen, creditsFrozen, closedAt } = account;
  const sums = { debitsPosted, creditsPosted, debitsPending, creditsPending };
  return { ...sums, debitsFrozen, creditsFrozen, closed: closedAt !== null };
}

/** Returns a movement with the IDs that Atlas has assigned, also to what it refers to. */
function renamed(order: Movement, newIds: ReadonlyMap<string, string>): Movement {
  const id = newIds.get(order.id)!;
  const nowOf = (old: string) => newIds.get(old) ?? old;
  if (order.kind === 'reverse') return { ...order, id, transferId: nowOf(order.transferId) };
  if (order.kind === 'post' || order.kind === 'void') return { ...order, id, holdId: nowOf(order.holdId) };
  return { ...order, id };
}
