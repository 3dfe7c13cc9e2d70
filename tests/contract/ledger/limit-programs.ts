import { expect } from 'bun:test';
import fc from 'fast-check';
import type { Database } from '../../../src/adapters/postgres/database.ts';
import type { Sql } from '../../../src/adapters/postgres/postgres.ts';
import { LIMIT_MAXIMA, type LimitMaximum } from '../../../src/features/ledger/limit.ts';
import { createLimitRepository } from '../../../src/features/ledger/limits/repository.ts';
import type { Movement, PostRequest } from '../../../src/features/ledger/movement.ts';
import { createTransferRepository } from '../../../src/features/ledger/transfers/repository.ts';
import { deriveFormerId } from '../../../src/features/ledger/transfers/transfer-ids.ts';
import { LimitModel, type ModelLimit, NOTHING } from './limit-model.ts';

const OWNERS = ['ann', 'ann', 'ann', 'bob', 'bob'];
const ACTOR = { kind: 'system', id: 'test' } as const;
const account = fc.nat({ max: OWNERS.length - 1 });
// What a movement refers to: one of the last that were made, of this request too.
const back = fc.nat({ max: 3 });
// Mistakes show at the edge: what is left of a limit, and one more.
const edge = fc.record({ leftOf: back, beyond: fc.nat({ max: 1 }) });
const sides = {
  debit: fc.nat({ max: 2 }),
  credit: account,
  amount: fc.oneof(fc.integer({ min: 1, max: 40 }), edge),
};
const part = fc.option(fc.integer({ min: 1, max: 12 }));
const movement = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('transfer' as const), ...sides }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('hold' as const), ...sides }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('post' as const), back, amount: part, keepRest: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('void' as const), back }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('reverse' as const), back, amount: part }) },
);
const request = fc.record({
  owner: fc.constantFrom('ann', 'ann', 'ann', 'ann', 'bob'),
  atomic: fc.boolean(),
  movements: fc.array(movement, { minLength: 1, maxLength: 4 }),
  isReplay: fc.integer({ min: 1, max: 6 }).map((n) => n === 1),
});
const maximum = fc.constantFrom(...LIMIT_MAXIMA);
const most = fc.integer({ min: 0, max: 120 });
const limit = fc.record({
  owner: fc.constantFrom('ann', 'bob'),
  accounts: fc.option(fc.uniqueArray(account, { minLength: 1, maxLength: 3 }), { freq: 2 }),
  counts: fc.constantFrom('debits' as const, 'credits' as const, 'both' as const),
  countsInternal: fc.boolean(),
  maximum,
  most,
  other: maximum,
});
const created = fc.record({ limit });
const members = fc.uniqueArray(account, { minLength: 1, maxLength: 2 });
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ requests: fc.array(request, { minLength: 1, maxLength: 3 }) }) },
  { weight: 1, arbitrary: created },
  { weight: 1, arbitrary: fc.record({ changed: back, maximum, most }) },
  { weight: 2, arbitrary: fc.record({ moved: back, accounts: members }) },
  { weight: 1, arbitrary: fc.record({ deleted: back }) },
  { weight: 3, arbitrary: fc.record({ hour: fc.constant(true) }) },
  { weight: 1, arbitrary: fc.record({ past: back }) },
);
const program = fc
  .tuple(
    fc.array(created, { minLength: 2, maxLength: 4 }),
    fc.array(step, { minLength: 1, maxLength: 14, size: 'max' }),
  )
  .map(([limits, steps]) => [...limits, ...steps]);
type Step = (typeof step extends fc.Arbitrary<infer S> ? S : never) & object;
type Drawn = (typeof request extends fc.Arbitrary<infer R> ? R : never) & object;
type DrawnLimit = (typeof limit extends fc.Arbitrary<infer L> ? L : never) & object;

/** One program on accounts that no other one uses. */
class LimitRun {
  readonly #id = crypto.randomUUID();
  readonly #accounts = OWNERS.map(() => crypto.randomUUID() as string);
  readonly #model: LimitModel;
  readonly #sql: Sql;
  readonly #post: (requests: readonly PostRequest[]) => Promise<readonly object[]>;
  readonly #limits;
  readonly #limitIds: string[] = [];
  #holds: string[] = [];
  #transfers: string[] = [];
  readonly #done = new Map<string, { request: PostRequest; outcomes: readonly string[] }>();
  #keys = 0;

  constructor(sql: Sql, db: Database) {
    this.#sql = sql;
    this.#post = createTransferRepository(db).post;
    this.#limits = createLimitRepository(db);
    this.#model = new LimitModel(new Map(this.#accounts.map((id, i) => [id, this.#ownerOf(OWNERS[i]!)])));
  }

  #ownerOf(name: string): string {
    return `${name}-${this.#id}`;
  }

  async open(): Promise<void> {
    await this.#sql`
      INSERT INTO accounts (id, owner, ledger, allow_negative, metadata, accepts_from)
      SELECT id, owner, 'EUR', true, '{}', '["*"]'
        FROM unnest(${this.#accounts}::uuid[], ${OWNERS.map((name) => this.#ownerOf(name))}::text[]) a(id, owner)`;
  }

  async take(drawn: Step): Promise<void> {
    if ('requests' in drawn) return this.#submit(drawn.requests);
    if ('limit' in drawn) return this.#create(drawn.limit);
    if ('hour' in drawn) return this.#passHour();
    if ('past' in drawn) return this.#expire(drawn.past);
    const back = 'changed' in drawn ? drawn.changed : 'moved' in drawn ? drawn.moved : drawn.deleted;
    const at = this.#limitIds.length - 1 - back;
    const found = this.#model.state.limits[at];
    if (!found || found.isDeleted) return;
    const writer = { owner: found.owner, isOperator: false };
    const id = this.#limitIds[at]!;
    if ('deleted' in drawn) {
      found.isDeleted = true;
      expect(await this.#limits.remove(id, writer, ACTOR)).toBeNull();
    } else if ('changed' in drawn) {
      found.maxima = { ...found.maxima, [drawn.maximum]: drawn.most };
      const maxima = { [drawn.maximum]: drawn.most };
      expect(await this.#limits.change(id, writer, 'any', { maxima }, ACTOR)).toBeNull();
    } else if (found.accounts !== null) {
      const accountIds = this.#accountsOf(found.owner, drawn.accounts);
      if (accountIds.length === 0) return;
      found.accounts = accountIds;
      expect(await this.#limits.change(id, writer, 'any', { accountIds }, ACTOR)).toBeNull();
    }
  }

  #accountsOf(owner: string, numbers: readonly number[]): string[] {
    return numbers.map((n) => this.#accounts[n]!).filter((id) => this.#model.owners.get(id) === owner);
  }

  async #create({ owner: name, counts, countsInternal, ...drawn }: DrawnLimit): Promise<void> {
    const owner = this.#ownerOf(name);
    const accountIds = drawn.accounts && this.#accountsOf(owner, drawn.accounts);
    if (accountIds?.length === 0) return;
    const maxima: Partial<Record<LimitMaximum, number>> = { [drawn.maximum]: drawn.most };
    if (drawn.other.endsWith('Count')) maxima[drawn.other] = drawn.most % 5;
    const id = crypto.randomUUID();
    const content = { name: 'Payouts', ledger: 'EUR', counts, countsInternal, maxima, accountIds };
    const refusal = await this.#limits.create(id, { owner, isOperator: false }, content, ACTOR, {});
    if (refusal !== null) return expect(refusal.outcome).toStartWith('too_many');
    this.#limitIds.push(id);
    const model: ModelLimit = {
      ...{ owner, counts, countsInternal, maxima },
      ...{ accounts: accountIds },
    } as ModelLimit;
    this.#model.state.limits.push({ ...model, used: { ...NOTHING }, isDeleted: false });
  }

  /** What was used in this hour was used in an earlier one. */
  async #passHour(): Promise<void> {
    this.#model.passHour();
    await this.#sql.begin(async (sql) => {
      // Without triggers, which keep an hour from going backwards. To disable them in the table would discard all plans.
      await sql`SET LOCAL session_replication_role = replica`;
      for (const [table, id] of [
        ['limits', 'id'],
        ['limit_reservations', 'limit_id'],
      ] as const)
        await sql`UPDATE ${sql(table)} SET hour_starts_at = hour_starts_at - interval '1 hour'
          WHERE ${sql(id)} = ANY (${this.#limitIds})`;
    });
  }

  async #expire(back: number): Promise<void> {
    const ids = [...this.#model.state.holds.keys()].slice(-1 - back);
    for (const id of ids) {
      const hold = this.#model.state.holds.get(id)!;
      if (hold.state === 'pending') hold.isPast = true;
    }
    await this.#sql`UPDATE holds SET expires_at = created_at + interval '1 microsecond'
      WHERE id = ANY (${ids}) AND state = 'pending'`;
    this.#model.expire();
    await this.#sql`SELECT expire_holds(100)`;
  }

  async #submit(drawn: readonly Drawn[]): Promise<void> {
    this.#holds = [];
    this.#transfers = [];
    const requests = drawn.map((one) => {
      const earlier = one.isReplay ? [...this.#done.values()].at(-1)?.request : undefined;
      return earlier ?? this.#requestOf(one);
    });
    const unique = [...new Map(requests.map((one) => [one.key, one])).values()];
    const expected = unique.map(
      ({ owner, key, atomic, orders }) =>
        this.#done.get(key)?.outcomes ?? this.#model.post(owner, atomic, orders),
    );
    const found = await this.#post(unique);
    expect(
      found.map((result) => (result as { items: { outcome: string }[] }).items.map((i) => i.outcome)),
    ).toEqual(expected.map((outcomes) => [...outcomes]));
    for (const [i, one] of unique.entries())
      this.#done.set(one.key, { request: one, outcomes: expected[i]! });
    await this.compare();
  }

  #requestOf({ owner, atomic, movements }: Drawn): PostRequest {
    const key = `${this.#id}-${this.#keys++}`;
    const orders = movements.map((one, i) => this.#orderOf(one, key, i));
    const fingerprint = new Bun.SHA256().update(JSON.stringify(orders)).digest('hex');
    return { owner: this.#ownerOf(owner), key, atomic, fingerprint, orders };
  }

  #orderOf(drawn: Drawn['movements'][number], key: string, index: number): Movement {
    const formerId = deriveFormerId('test', key, index);
    const id = deriveFormerId('test', formerId, index);
    const text = { reference: null, metadata: {} };
    const missing = crypto.randomUUID();
    if (drawn.kind === 'post' || drawn.kind === 'void') {
      const holdId = [...this.#model.state.holds.keys(), ...this.#holds].at(-1 - drawn.back) ?? missing;
      if (drawn.kind === 'void') return { kind: 'void', id, holdId };
      this.#transfers.push(id);
      return { kind: 'post', id, formerId, holdId, amount: drawn.amount, keepRest: drawn.keepRest, ...text };
    }
    if (drawn.kind === 'reverse') {
      const transferId =
        [...this.#model.state.transfers.keys(), ...this.#transfers].at(-1 - drawn.back) ?? missing;
      return { kind: 'reverse', id, formerId, transferId, amount: drawn.amount, force: false, ...text };
    }
    const [debitAccountId, creditAccountId] = [this.#accounts[drawn.debit]!, this.#accounts[drawn.credit]!];
    const content = { debitAccountId, creditAccountId, amount: this.#amountOf(drawn.amount), ...text };
    (drawn.kind === 'hold' ? this.#holds : this.#transfers).push(id);
    if (drawn.kind === 'transfer') return { id, formerId, ...content };
    return { kind: 'hold', id, expiresInSeconds: 3600, ...content };
  }

  #amountOf(drawn: number | { readonly leftOf: number; readonly beyond: number }): number {
    if (typeof drawn === 'number') return drawn;
    const limit = this.#model.state.limits.at(-1 - drawn.leftOf);
    return Math.max(1, (limit ? this.#model.leftOf(limit) : 0) + drawn.beyond);
  }

  async compare(): Promise<void> {
    const kept = await this.#sql`
      SELECT FROM limit_reservations r JOIN holds h ON h.id = r.hold_id
       WHERE h.state <> 'pending' AND r.limit_id = ANY (${this.#limitIds})
         AND EXISTS (SELECT FROM limits l WHERE l.id = r.limit_id AND l.deleted_at IS NULL)`;
    expect(kept).toHaveLength(0);
    const { limits } = this.#model.state;
    const stored = await Promise.all(
      limits.map(({ owner }, i) => this.#limits.find(owner, this.#limitIds[i]!)),
    );
    for (const [i, { used, isDeleted }] of limits.entries()) {
      const found = stored[i]!;
      expect(found === null).toBe(isDeleted);
      if (found === null) continue;
      const { hour, day, total } = found.usage;
      expect([hour.amount, hour.count, day.amount, day.count, total.amount]).toEqual([
        used.hourAmount,
        used.hourCount,
        used.dayAmount,
        used.dayCount,
        used.totalAmount,
      ]);
    }
  }
}

/** Runs programs against the model. Rejects with one whose results differ, which may be shrunk to the smallest. */
export async function runLimitPrograms(
  sql: Sql,
  db: Database,
  { numRuns, shrinks }: { readonly numRuns: number; readonly shrinks: boolean },
): Promise<void> {
  await sql`UPDATE transfer_id_secret SET isolates_owners = true`;
  // The programs let time pass.
  await sql`ALTER TABLE holds DISABLE TRIGGER holds_immutable`;
  const runs = fc.asyncProperty(program, async (steps) => {
    const run = new LimitRun(sql, db);
    await run.open();
    for (const drawn of steps) await run.take(drawn);
    await run.compare();
  });
  await fc.assert(runs, { numRuns, endOnFailure: !shrinks });
}
