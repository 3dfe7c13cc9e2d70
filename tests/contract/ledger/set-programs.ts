import { expect } from 'bun:test';
import fc from 'fast-check';
import { isTransient, type Sql } from '../../../src/adapters/postgres/postgres.ts';
import { AtlasError } from '../../../src/errors.ts';
import type { Movement, PostRequest, PostResult } from '../../../src/features/ledger/movement.ts';
import { createExchangeRepository } from '../../../src/features/ledger/sets/repository.ts';
import { createSetService, type SetService } from '../../../src/features/ledger/sets/service.ts';
import type { MovementResult, NewMovement } from '../../../src/features/ledger/sets/set.ts';
import { SetOutcomes } from '../../../src/features/ledger/sets/set-outcomes.ts';
import { createSubmit } from '../../../src/features/ledger/submit.ts';
import { GroupCommit } from '../../../src/features/ledger/transfers/group-commit.ts';
import { createTransferRepository } from '../../../src/features/ledger/transfers/repository.ts';
import { createTransferIds } from '../../../src/features/ledger/transfers/transfer-ids.ts';
import { openTestDatabase } from '../../support/database.ts';
import { ACCOUNTS, type Drawn, program } from './drawn-sets.ts';
import { MovementModel } from './movement-model.ts';

/** What a caller got: results, or the code and errors of a refusal. */
type Reply =
  | { readonly results: readonly MovementResult[] }
  | { readonly code: string; readonly errors: unknown };
type Change = (request: PostRequest) => PostRequest;
interface Sent {
  readonly owner: string;
  readonly key: string;
  readonly movements: readonly NewMovement[];
}

/** A separate worker: a pool, a group commit over it, and the service. Notes what it was asked to post, and what came of it. */
function openWorker(url: string, change: Change) {
  const db = openTestDatabase(url, { connectionsMax: 3 });
  const { post, waitedMs, isKeyUsed, readSecret } = createTransferRepository(db);
  const bounds = { batchItemsMax: 9, waitingItemsMax: 4096 };
  const groupCommit = new GroupCommit({ post, waitedMs, isTransient, ...bounds });
  const posted = new Map<string, { readonly request: PostRequest; readonly result: PostResult }>();
  const submit = createSubmit({
    isKeyUsed,
    ids: createTransferIds(readSecret),
    async submit(request, caller) {
      const result = await groupCommit.submit(change(request), caller);
      posted.set(request.key, { request, result });
      return result;
    },
  });
  const sets = createSetService(createExchangeRepository(db), submit, new SetOutcomes());
  return { sets, posted, close: () => db.end({ timeout: 5 }) };
}

/** One program on accounts that no other one uses. */
class SetRun {
  readonly id = crypto.randomUUID();
  model: MovementModel;
  readonly accountIds: string[] = [];
  readonly #workers: readonly ReturnType<typeof openWorker>[];
  readonly #replies = new Map<string, { readonly sent: Sent; readonly reply: Reply }>();
  #keys = 0;

  constructor(workers: readonly ReturnType<typeof openWorker>[]) {
    this.#workers = workers;
    this.model = new MovementModel(true);
  }

  async open(sql: Sql): Promise<void> {
    for (const drawn of ACCOUNTS) {
      const [id, owner] = [crypto.randomUUID(), `${drawn.owner}-${this.id}`];
      this.accountIds.push(id);
      this.model.state.accounts.set(id, { ...drawn, owner });
      await sql`
        INSERT INTO accounts (id, owner, ledger, allow_negative, metadata, accepts_from, balance_min, balance_max)
        VALUES (${id}, ${owner}, ${drawn.ledger}, ${drawn.floor === null}, '{}', ${sql.json(['*'])}, ${drawn.floor},
                ${drawn.ceiling})`;
    }
    await this.take([
      { owner: 'ann', again: 'no', movements: [{ type: 'transfer', debit: 0, credit: 1, amount: 90 }] },
    ]);
  }

  /** Sends sets at once: some order of them explains what their callers got. */
  async take(drawn: readonly Drawn[]): Promise<void> {
    const sending: Promise<void>[] = [];
    const fresh: Sent[] = [];
    for (const [i, one] of drawn.entries()) {
      const before = [...this.#replies.values()].at(-1);
      if (one.again === 'later' && before !== undefined) {
        sending.push(this.#send(i, before.sent).then((reply) => expect(reply).toEqual(before.reply)));
        continue;
      }
      const sent = this.#toSent(one);
      fresh.push(sent);
      const twice = one.again === 'now' ? [i, i + 1] : [i];
      sending.push(
        Promise.all(twice.map((worker) => this.#send(worker, sent))).then(([reply, same = reply]) => {
          expect(same).toEqual(reply);
          this.#replies.set(sent.key, { sent, reply: reply! });
        }),
      );
    }
    await Promise.all(sending);
    this.#explain(fresh.map(({ key }) => this.#postedOf(key)));
    for (const { key, movements } of fresh) this.#checkReply(movements, this.#replies.get(key)!.reply, key);
  }

  async #send(worker: number, { owner, key, movements }: Sent): Promise<Reply> {
    const { sets } = this.#workers[worker % this.#workers.length]!;
    return replyOf(sets, { owner, key, path: '/v1/sets' }, movements);
  }

  #postedOf(key: string) {
    const found = this.#workers.flatMap(({ posted }) => posted.get(key) ?? []);
    return found[0]!;
  }

  #explain(posted: readonly { readonly request: PostRequest; readonly result: PostResult }[]): void {
    for (const order of permutations(posted)) {
      const model = this.model.fork();
      const isSame = order.every(({ request, result }) => {
        if (result.state === 'reused') return false;
        const expected = model.post({ ...request, orders: this.#asTransfers(request) });
        return Bun.deepEquals(
          [...expected],
          result.items.map(({ outcome }) => outcome),
        );
      });
      if (!isSame) continue;
      this.model = model;
      return;
    }
    throw new Error(`No order explains ${JSON.stringify(posted.map(({ result }) => result))}.`);
  }

  /** What an exchange is refused for, as transfers that are refused for the same. */
  #asTransfers({ owner, orders }: PostRequest): readonly Movement[] {
    const accounts = this.model.state.accounts;
    return orders.map((order, i) => {
      if (order.kind !== undefined) return order;
      const before = orders[i - 1];
      if (order.exchange !== undefined && accounts.get(order.creditAccountId)!.owner !== owner)
        return { ...order, creditAccountId: crypto.randomUUID() };
      if (before === undefined || before.kind !== undefined || before.exchange === undefined) return order;
      const [from, to] = [accounts.get(before.debitAccountId)!, accounts.get(order.debitAccountId)!];
      const isOneLedger = from.ledger === to.ledger && from.owner === owner && to.owner === owner;
      return isOneLedger ? { ...order, creditAccountId: order.debitAccountId } : order;
    });
  }

  #checkReply(movements: readonly NewMovement[], reply: Reply, key: string): void {
    const { result } = this.#postedOf(key);
    const outcomes = result.state === 'reused' ? [] : result.items.map(({ outcome }) => outcome);
    if ('results' in reply) {
      expect(new Set(outcomes)).toEqual(new Set(['posted']));
      expect(reply.results.map(({ type }) => type)).toEqual(movements.map(({ type }) => type));
      for (const [i, one] of reply.results.entries()) {
        if (one.type === 'exchange')
          expect(one.exchange).toMatchObject({ rate: (movements[i] as { rate: string }).rate });
      }
    } else {
      expect(reply.code).toBe('set_refused');
      expect(outcomes).not.toContain('posted');
    }
  }

  #toSent({ owner, movements }: Drawn): Sent {
    const made: NewMovement[] = [];
    for (const drawn of movements) made.push(this.#toMovement(drawn, made));
    return { owner: `${owner}-${this.id}`, key: `${this.id}-${this.#keys++}`, movements: made };
  }

  #toMovement(drawn: Drawn['movements'][number], before: readonly NewMovement[]): NewMovement {
    const id = (at: number) => this.accountIds[at]!;
    switch (drawn.type) {
      case 'transfer':
      case 'hold':
        return {
          type: drawn.type,
          debitAccountId: id(drawn.debit),
          creditAccountId: id(drawn.credit),
          amount: drawn.amount,
        };
      case 'post':
      case 'void': {
        const from = drawn.isLocal ? before.findLastIndex(({ type }) => type === 'hold') : -1;
        const known = [...this.model.state.holds.keys()].at(-1 - drawn.back) ?? crypto.randomUUID();
        const hold = from < 0 ? { holdId: known } : { holdFrom: from };
        if (drawn.type === 'void') return { type: 'void', ...hold };
        return { type: 'post', ...hold, amount: drawn.amount, keepRest: drawn.keepRest };
      }
      case 'reverse': {
        const makes = ['transfer', 'post', 'reverse'];
        const from = drawn.isLocal ? before.findLastIndex(({ type }) => makes.includes(type)) : -1;
        const known = [...this.model.state.transfers.keys()].at(-1 - drawn.back) ?? crypto.randomUUID();
        const transfer = from < 0 ? { transferId: known } : { transferFrom: from };
        return { type: 'reverse', ...transfer, amount: drawn.amount, force: drawn.force };
      }
      case 'exchange': {
        const [payer, source, dollars, payee] = drawn.flow;
        // The schema refuses an exchange whose accounts are not four, and an amount of 0.
        const flow = new Set(drawn.flow).size === 4 ? [payer, source, dollars, payee] : [1, 2, 3, 4];
        const { rate, rounding } = drawn;
        const given = { [`${drawn.fixedSide}Amount`]: drawn.amount + 3 };
        return {
          type: 'exchange',
          debitAccountId: id(flow[0]!),
          sourceLiquidityAccountId: id(flow[1]!),
          targetLiquidityAccountId: id(flow[2]!),
          creditAccountId: id(flow[3]!),
          ...given,
          rate,
          rounding,
        };
      }
    }
  }

  /** Compares what is stored with the model, and each exchange with what was asked for. */
  async compare(sql: Sql): Promise<void> {
    const rows = await sql`
      SELECT id, debits_posted AS debits, credits_posted AS credits, debits_pending, credits_pending FROM accounts
       WHERE id = ANY (${this.accountIds})`;
    for (const { id, ...sums } of rows) {
      const { debits, credits, debitsPending, creditsPending } = this.model.state.accounts.get(id)!;
      expect(sums as object).toEqual({ debits, credits, debitsPending, creditsPending });
    }
    const transfers = await sql`SELECT id FROM transfers WHERE debit_account_id = ANY (${this.accountIds})`;
    expect(new Set(transfers.map(({ id }) => id))).toEqual(new Set(this.model.state.transfers.keys()));
    const holds =
      await sql`SELECT id, posted, state FROM holds WHERE debit_account_id = ANY (${this.accountIds})`;
    expect(new Map(holds.map(({ id, posted, state }) => [id, { posted, state }]))).toEqual(
      new Map([...this.model.state.holds].map(([id, { posted, state }]) => [id, { posted, state }])),
    );
    const asked = [...this.#replies.values()].flatMap(({ reply }) =>
      'results' in reply
        ? reply.results.flatMap((one) => (one.type === 'exchange' ? [one.exchange] : []))
        : [],
    );
    const stored = await sql`
      SELECT x.id, x.rate::text, x.rounding, x.fixed_side, s.amount AS source_amount, t.amount AS target_amount,
             (SELECT count(*)::int FROM outbox o WHERE o.key = x.id::text AND o.type = 'exchange.posted.v1') AS events
        FROM exchanges x JOIN transfers s ON s.id = x.source_transfer_id JOIN transfers t ON t.id = x.target_transfer_id
       WHERE x.debit_account_id = ANY (${this.accountIds})`;
    const byId = new Map(stored.map((row) => [row.id, { ...row }]));
    expect(byId.size).toBe(asked.length);
    for (const { id, rate, rounding, fixedSide, sourceAmount, targetAmount } of asked)
      expect(byId.get(id)).toEqual({ id, rate, rounding, fixedSide, sourceAmount, targetAmount, events: 1 });
  }
}

async function replyOf(
  sets: SetService,
  identity: Parameters<SetService['post']>[0],
  movements: readonly NewMovement[],
): Promise<Reply> {
  try {
    return { results: (await sets.post(identity, movements)).result };
  } catch (error) {
    if (error instanceof AtlasError) return { code: error.code, errors: error.errors };
    throw error;
  }
}

function permutations<T>(list: readonly T[]): readonly (readonly T[])[] {
  if (list.length < 2) return [list];
  return list.flatMap((one, i) => permutations(list.toSpliced(i, 1)).map((rest) => [one, ...rest]));
}

/** Runs programs of concurrent sets. Rejects with one that nothing explains. `change` plants a mistake. */
export async function runSetPrograms(
  sql: Sql,
  url: string,
  { numRuns, shrinks, change = (request) => request }: { numRuns: number; shrinks: boolean; change?: Change },
): Promise<void> {
  await sql`UPDATE transfer_id_secret SET isolates_owners = true`;
  const workers = [openWorker(url, change), openWorker(url, change), openWorker(url, change)];
  const runs = fc.asyncProperty(program, async (steps) => {
    const run = new SetRun(workers);
    await run.open(sql);
    for (const drawn of steps) await run.take(drawn);
    await run.compare(sql);
  });
  try {
    await fc.assert(runs, { numRuns, endOnFailure: !shrinks });
  } finally {
    for (const { close } of workers) await close();
  }
}
