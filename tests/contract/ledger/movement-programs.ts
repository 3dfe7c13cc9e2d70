import { expect } from 'bun:test';
import fc from 'fast-check';
import type { Database } from '../../../src/adapters/postgres/database.ts';
import type { Sql } from '../../../src/adapters/postgres/postgres.ts';
import type { Movement, PostRequest } from '../../../src/features/ledger/movement.ts';
import { createTransferRepository } from '../../../src/features/ledger/transfers/repository.ts';
import { deriveFormerId } from '../../../src/features/ledger/transfers/transfer-ids.ts';
import { type MovementAccount, MovementModel } from './movement-model.ts';

const OPEN = { debitsFrozen: false, creditsFrozen: false, closed: false };
const EMPTY = { debits: 0, credits: 0, debitsPending: 0, creditsPending: 0 };
const account = (owner: string, rest: Partial<MovementAccount> = {}): MovementAccount => {
  return { ledger: 'EUR', owner, acceptsFrom: ['*'], floor: null, ceiling: null, ...OPEN, ...EMPTY, ...rest };
};
const ACCOUNTS = [
  account('ann'),
  account('ann', { floor: 0 }),
  account('ann', { floor: -50, ceiling: 90 }),
  account('bob', { floor: 0, ceiling: 70 }),
  account('bob', { floor: 0, acceptsFrom: null }),
  account('bob', { ledger: 'USD' }),
];
const accountNumber = fc.oneof(
  { weight: 20, arbitrary: fc.nat({ max: 3 }) },
  { weight: 1, arbitrary: fc.nat({ max: ACCOUNTS.length }) },
);
const amount = fc.oneof(
  { weight: 9, arbitrary: fc.integer({ min: 1, max: 60 }) },
  { weight: 1, arbitrary: fc.constantFrom(Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER - 50) },
);
const sides = { debit: accountNumber, credit: accountNumber, amount };
const part = fc.option(fc.integer({ min: 1, max: 40 }));
// What a movement refers to: one of the last that were made, of this request too.
const back = fc.nat({ max: 3 });
const movement = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('transfer' as const), ...sides }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('hold' as const), ...sides }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('post' as const), back, amount: part, keepRest: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('void' as const), back }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('reverse' as const), back, amount: part, force: fc.boolean() }),
  },
);
const request = fc.record({
  owner: fc.constantFrom('ann', 'ann', 'bob', 'cid'),
  atomic: fc.boolean(),
  movements: fc.array(movement, { minLength: 1, maxLength: 5 }),
  isReplay: fc.integer({ min: 1, max: 6 }).map((n) => n === 1),
});
const flag = fc.constantFrom('debitsFrozen', 'creditsFrozen');
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ requests: fc.array(request, { minLength: 1, maxLength: 4 }) }) },
  // Time passes for one of the last holds, or for all.
  { weight: 2, arbitrary: fc.record({ past: back }) },
  { weight: 2, arbitrary: fc.record({ expire: fc.constant(true) }) },
  { weight: 1, arbitrary: fc.record({ flip: flag, account: fc.nat({ max: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ flip: fc.constant('closed' as const), account: fc.nat({ max: 3 }) }) },
);
const program = fc.array(step, { minLength: 1, maxLength: 16, size: 'max' });
type Step = (typeof step extends fc.Arbitrary<infer S> ? S : never) & object;
type Drawn = (typeof request extends fc.Arbitrary<infer R> ? R : never) & object;

/** One program on accounts that no other one uses. */
class MovementRun {
  readonly id = crypto.randomUUID();
  readonly model: MovementModel;
  readonly accountIds: string[] = [];
  readonly #sql: Sql;
  readonly #post: (requests: readonly PostRequest[]) => Promise<readonly object[]>;
  /** What this step makes, if it is not refused. */
  #holds: string[] = [];
  #transfers: string[] = [];
  readonly #done: PostRequest[] = [];
  #keys = 0;

  constructor(sql: Sql, db: Database, isolates: boolean) {
    this.#sql = sql;
    this.#post = createTransferRepository(db).post;
    this.model = new MovementModel(isolates);
  }

  async open(): Promise<void> {
    for (const drawn of ACCOUNTS) {
      const id = crypto.randomUUID();
      const owner = `${drawn.owner}-${this.id}`;
      this.accountIds.push(id);
      this.model.state.accounts.set(id, { ...drawn, owner });
      await this.#sql`
        INSERT INTO accounts (id, owner, ledger, allow_negative, metadata, accepts_from, balance_min, balance_max)
        VALUES (${id}, ${owner}, ${drawn.ledger}, ${drawn.floor === null}, '{}',
          ${drawn.acceptsFrom && this.#sql.json(drawn.acceptsFrom)}, ${drawn.floor}, ${drawn.ceiling})`;
    }
    this.accountIds.push(crypto.randomUUID());
    // Of Ann, who owns the account that pays.
    const movements = [1, 2, 3].map((credit) => ({
      kind: 'transfer' as const,
      debit: 0,
      credit,
      amount: 60,
    }));
    await this.#submit([{ owner: 'ann', atomic: false, movements, isReplay: false }]);
  }

  async take(drawn: Step): Promise<void> {
    if ('requests' in drawn) return this.#submit(drawn.requests);
    if ('past' in drawn) {
      const all = [...this.model.state.holds.keys()];
      const ids = drawn.past === 0 ? all : all.slice(-drawn.past, 1 - drawn.past || undefined);
      for (const id of ids) this.model.pass(id);
      await this
        .#sql`UPDATE holds SET expires_at = created_at + interval '1 microsecond' WHERE id = ANY (${ids})`;
    } else if ('expire' in drawn) {
      const [row] = await this.#sql`
        SELECT expire_given_holds(ARRAY(SELECT id FROM holds WHERE state = 'pending')) AS count`;
      expect(row!.count).toBe(this.model.expire());
    } else await this.#flip(drawn.flip, this.accountIds[drawn.account]!);
  }

  async #flip(name: 'debitsFrozen' | 'creditsFrozen' | 'closed', id: string): Promise<void> {
    const found = this.model.state.accounts.get(id)!;
    const isUsed = found.credits !== found.debits || found.debitsPending + found.creditsPending > 0;
    if (name === 'closed' && !found.closed && isUsed) return;
    found[name] = !found[name];
    const { debitsFrozen, creditsFrozen, closed } = found;
    await this.#sql`UPDATE accounts SET debits_frozen = ${debitsFrozen}, credits_frozen = ${creditsFrozen},
      closed_at = ${closed ? new Date() : null} WHERE id = ${id}`;
  }

  async #submit(drawn: readonly Drawn[]): Promise<void> {
    this.#holds = [];
    this.#transfers = [];
    const requests = drawn.map((one) => {
      const earlier = one.isReplay ? this.#done.at(-1) : undefined;
      return earlier ?? this.#requestOf(one);
    });
    const unique = [...new Map(requests.map((one) => [one.key, one])).values()];
    const expected = unique.map((one) => this.model.post(one));
    const found = await this.#post(unique);
    expect(
      found.map((result) => (result as { items: { outcome: string }[] }).items.map((i) => i.outcome)),
    ).toEqual(expected.map((outcomes) => [...outcomes]));
    this.#done.push(...unique);
  }

  #requestOf({ owner, atomic, movements }: Drawn): PostRequest {
    const key = `${this.id}-${this.#keys++}`;
    const orders = movements.map((drawn, i) => this.#orderOf(drawn, key, i));
    const fingerprint = new Bun.SHA256().update(JSON.stringify(orders)).digest('hex');
    return { owner: `${owner}-${this.id}`, key, atomic, fingerprint, orders };
  }

  #orderOf(drawn: Drawn['movements'][number], key: string, index: number): Movement {
    const formerId = deriveFormerId('test', key, index);
    const id = deriveFormerId('test', formerId, index);
    const text = { reference: null, metadata: {} };
    const missing = crypto.randomUUID();
    if (drawn.kind === 'post' || drawn.kind === 'void') {
      const holdId = [...this.model.state.holds.keys(), ...this.#holds].at(-1 - drawn.back) ?? missing;
      if (drawn.kind === 'void') return { kind: 'void', id, holdId };
      this.#transfers.push(id);
      return { kind: 'post', id, formerId, holdId, amount: drawn.amount, keepRest: drawn.keepRest, ...text };
    }
    if (drawn.kind === 'reverse') {
      const transferId =
        [...this.model.state.transfers.keys(), ...this.#transfers].at(-1 - drawn.back) ?? missing;
      this.#transfers.push(id);
      return { kind: 'reverse', id, formerId, transferId, amount: drawn.amount, force: drawn.force, ...text };
    }
    const { debit, credit, amount: moved } = drawn;
    const [debitAccountId, creditAccountId] = [this.accountIds[debit]!, this.accountIds[credit]!];
    const content = { debitAccountId, creditAccountId, amount: moved, ...text };
    (drawn.kind === 'hold' ? this.#holds : this.#transfers).push(id);
    if (drawn.kind === 'transfer') return { id, formerId, ...content };
    return { kind: 'hold', id, expiresInSeconds: 3600, ...content };
  }

  async compare(): Promise<void> {
    const ids = [...this.model.state.accounts.keys()];
    const rows = await this.#sql`
      SELECT id, debits_posted AS debits, credits_posted AS credits, debits_pending, credits_pending, version,
             posted_at IS NOT NULL AS is_posted FROM accounts WHERE id = ANY (${ids})`;
    for (const { id, version, isPosted, ...sums } of rows) {
      const { debits, credits, debitsPending, creditsPending } = this.model.state.accounts.get(id)!;
      expect(sums as object).toEqual({ debits, credits, debitsPending, creditsPending });
      if (version > 0) expect(isPosted).toBe(true);
    }
    const holds = await this.#sql`SELECT id, posted, state FROM holds WHERE debit_account_id = ANY (${ids})`;
    expect(new Map(holds.map(({ id, posted, state }) => [id, { posted, state }]))).toEqual(
      new Map([...this.model.state.holds].map(([id, { posted, state }]) => [id, { posted, state }])),
    );
    const transfers = await this.#sql`
      SELECT t.id, t.amount, coalesce(r.reversed, 0) AS reversed FROM transfers t
      LEFT JOIN reversed_transfers r ON r.transfer_id = t.id WHERE debit_account_id = ANY (${ids})`;
    expect(new Map(transfers.map((row) => [row.id, [row.amount, row.reversed]]))).toEqual(
      new Map([...this.model.state.transfers].map(([id, t]) => [id, [t.amount, t.reversed]])),
    );
  }
}

/** Runs programs against the model. Rejects with one whose results differ, which may be shrunk to the smallest. */
export async function runPrograms(
  sql: Sql,
  db: Database,
  isolates: boolean,
  { numRuns, shrinks }: { readonly numRuns: number; readonly shrinks: boolean },
): Promise<void> {
  await sql`UPDATE transfer_id_secret SET isolates_owners = ${isolates}`;
  // The programs let time pass.
  await sql`ALTER TABLE holds DISABLE TRIGGER holds_immutable`;
  const runs = fc.asyncProperty(program, async (steps) => {
    const run = new MovementRun(sql, db, isolates);
    await run.open();
    for (const drawn of steps) await run.take(drawn);
    await run.compare();
    // What is left pending would expire in the next run.
    await sql`UPDATE holds SET expires_at = now() + interval '1 day' WHERE state = 'pending'`;
  });
  await fc.assert(runs, { numRuns, endOnFailure: !shrinks });
}
