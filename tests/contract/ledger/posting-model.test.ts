import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Sql } from '../../../src/adapters/postgres/postgres.ts';
import {
  fingerprintOf,
  type TransferOrder,
  type TransferRequest,
} from '../../../src/features/ledger/movement.ts';
import { createTransferRepository } from '../../../src/features/ledger/transfers/repository.ts';
import { deriveFormerId } from '../../../src/features/ledger/transfers/transfer-ids.ts';
import { availableEngines } from '../../support/database.ts';
import { discrepanciesOf, insertAccounts, SLOW_TEST_MS, withDatabase } from './ledger-database.ts';
import { LedgerModel } from './ledger-model.ts';

const MAX = Number.MAX_SAFE_INTEGER;
const HALF = Math.floor(MAX / 2);
const ACCOUNTS = [
  { ledger: 'EUR', allowNegative: true, owner: 'ann', accepts: ['bob'], acceptsUpTo: MAX },
  { ledger: 'EUR', allowNegative: false, owner: 'ann', accepts: null, acceptsUpTo: MAX },
  { ledger: 'EUR', allowNegative: false, owner: 'bob', accepts: ['*'], acceptsUpTo: MAX },
  { ledger: 'USD', allowNegative: true, owner: 'bob', accepts: ['cid', 'ann'], acceptsUpTo: 30 },
  // As the first one, but only for small amounts.
  { ledger: 'EUR', allowNegative: true, owner: 'ann', accepts: ['bob'], acceptsUpTo: 30 },
];
// One number more than there are accounts: an account that does not exist.
const accountNumber = fc.nat({ max: ACCOUNTS.length });
const amount = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 1, max: 60 }) },
  { weight: 1, arbitrary: fc.constantFrom(MAX, MAX - 50, HALF, HALF + 1, HALF - 50) },
);
const order = fc.record({
  // Few ids, so that many already exist; few keys, so that many are replayed or belong to another request.
  id: fc.nat({ max: 25 }),
  debit: accountNumber,
  credit: accountNumber,
  amount,
  reference: fc.constantFrom(null, 'a', 'a "quoted" \\ {NULL}'),
  metadata: fc.constantFrom({}, { b: '2', a: '1' }),
});
const request = fc.record({
  owner: fc.constantFrom('ann', 'bob'),
  key: fc.nat({ max: 12 }),
  atomic: fc.boolean(),
  orders: fc.array(order, { minLength: 1, maxLength: 4 }),
});
const sameKey = (r: { owner: string; key: number }) => `${r.owner} ${r.key}`;
const requests = fc.uniqueArray(request, { minLength: 1, maxLength: 5, selector: sameKey });
// A batch comes from a host of this release or of the previous one, or its callers choose ids that hosts have derived.
const host = fc.constantFrom('new', 'former', 'own');
const workload = fc.array(fc.record({ host, requests }), { minLength: 1, maxLength: 6 });
type Drawn = (typeof request extends fc.Arbitrary<infer R> ? R : never) & object;

/** An id that a caller chose, or the two ids that hosts of both releases derive. */
type Ids = readonly [id: string, former?: string];

function idOf(
  ids: Ids,
  host: 'new' | 'former' | 'own',
  turn: number,
): Pick<TransferOrder, 'id' | 'formerId'> {
  const [id, former] = ids;
  if (former === undefined) return { id };
  if (host === 'own') return { id: turn % 2 === 0 ? id : former };
  return host === 'new' ? { id, formerId: former } : { id: former, formerId: id };
}

/** Turns a drawn request into one of this run, with accounts, ids and an owner that no other run has. */
function settle(
  drawn: Drawn,
  accountIds: readonly string[],
  transferIds: readonly Ids[],
  run: string,
  host: 'new' | 'former' | 'own',
): TransferRequest {
  const orders = drawn.orders.map((item): TransferOrder => {
    const ids = transferIds[item.id]!;
    const given = idOf(ids, host, item.amount);
    // Most repeat the content of their id, so that transfers are found under both.
    if (ids.length === 2 && item.amount % 4 > 0) {
      const [debitAccountId, creditAccountId] = accountIds as [string, string];
      return {
        ...given,
        debitAccountId,
        creditAccountId,
        amount: 1 + item.id,
        reference: null,
        metadata: {},
      };
    }
    return {
      ...given,
      debitAccountId: accountIds[item.debit]!,
      creditAccountId: accountIds[item.credit]!,
      amount: item.amount,
      reference: item.reference,
      metadata: item.metadata,
    };
  });
  return {
    owner: `${drawn.owner}-${run}`,
    key: String(drawn.key),
    atomic: drawn.atomic,
    fingerprint: fingerprintOf('/v1/transfers/batch', drawn.atomic, orders),
    orders,
  };
}

async function compareTables(sql: Sql, model: LedgerModel): Promise<void> {
  const ids = [...model.accounts.keys()];
  const accounts =
    await sql`SELECT id, debits_posted, credits_posted, version FROM accounts WHERE id = ANY (${ids})`;
  for (const { id, debitsPosted, creditsPosted, version } of accounts) {
    const { debits, credits, version: expected } = model.accounts.get(id)!;
    expect({ debitsPosted, creditsPosted, version }).toEqual({
      debitsPosted: debits,
      creditsPosted: credits,
      version: expected,
    });
  }
  const transfers = await sql`
    SELECT t.id, t.amount, o.transfer_id IS NOT NULL AS has_event,
           (o.debit_account_id, o.debit_version, o.credit_account_id, o.credit_version)
           = (t.debit_account_id, t.debit_version, t.credit_account_id, t.credit_version) AS same_event
    FROM transfers t LEFT JOIN outbox o ON o.transfer_id = t.id WHERE t.debit_account_id = ANY (${ids})`;
  expect(transfers.map(({ id }) => id).sort()).toEqual([...model.transfers.keys()].sort());
  for (const { id, amount: moved, hasEvent, sameEvent } of transfers) {
    expect({ moved, hasEvent, sameEvent }).toEqual({
      moved: model.transfers.get(id)!.amount,
      hasEvent: true,
      sameEvent: true,
    });
  }
  const numbered = await sql`
    SELECT version, row_number() OVER (PARTITION BY account ORDER BY id) AS place
    FROM (SELECT id, debit_account_id AS account, debit_version AS version FROM outbox
          UNION ALL SELECT id, credit_account_id, credit_version FROM outbox) sides
    WHERE account = ANY (${ids})`;
  expect(numbered.filter(({ version, place }) => version !== place)).toEqual([]);
}

describe.each(availableEngines())('post_orders on the %s PostgreSQL', (engine) => {
  test.each([
    ['everybody shares the accounts', false],
    ['organizations are isolated', true],
  ])(
    'gives the same results as an in-memory model that runs one request at a time, for any batches, if %s',
    (_, isolates) =>
      withDatabase(engine, async (sql, _url, db) => {
        const repository = createTransferRepository(db);
        await sql`UPDATE transfer_id_secret SET has_former_ids = true, isolates_owners = ${isolates}`;
        const runs = fc.asyncProperty(workload, async (batches) => {
          const model = new LedgerModel(isolates);
          const run = crypto.randomUUID();
          const accounts = ACCOUNTS.map(({ accepts, owner, ...account }) => ({
            ...account,
            owner: `${owner}-${run}`,
            acceptsFrom: accepts?.map((name) => (name === '*' ? name : `${name}-${run}`)) ?? null,
          }));
          const accountIds = [...(await insertAccounts(sql, accounts)), crypto.randomUUID()];
          accounts.forEach((account, i) => {
            model.accounts.set(accountIds[i]!, { ...account, debits: 0, credits: 0, version: 0 });
          });
          const transferIds = Array.from({ length: 26 }, (_, i): Ids => {
            const [id, former] = [crypto.randomUUID(), deriveFormerId(crypto.randomUUID(), 'key', i)];
            return i % 2 === 0 ? [id] : [deriveFormerId(id, 'key', i), former];
          });
          for (const drawn of batches) {
            const requests = drawn.requests.map((one) =>
              settle(one, accountIds, transferIds, run, drawn.host),
            );
            const expected = requests.map((one) => model.post(one));
            const found = await repository.post(requests);
            const outcomes = found.map((result) => ({
              state: result.state,
              items:
                result.state === 'reused' ? [] : result.items.map(({ outcome, id }) => ({ outcome, id })),
            }));
            expect(outcomes).toEqual(expected as typeof outcomes);
            for (const result of found) {
              if (result.state === 'reused') continue;
              for (const { outcome, id, transfer } of result.items) {
                const known = ['posted', 'exists'].includes(outcome) ? model.transfers.get(id) : undefined;
                expect(transfer === null).toBe(known === undefined);
                if (known) expect(transfer!).toMatchObject(known);
              }
            }
          }
          await compareTables(sql, model);
        });
        await fc.assert(runs, { numRuns: 60, endOnFailure: false });
        expect(await discrepanciesOf(db)).toEqual([]);
      }),
    SLOW_TEST_MS,
  );

  test(
    'versions of an account are contiguous, in the order of posting',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const [bank, shop] = await insertAccounts(sql, [
          { ledger: 'EUR', allowNegative: true },
          { ledger: 'EUR', allowNegative: false },
        ]);
        const orders = Array.from({ length: 50 }, (_, i) => ({
          id: crypto.randomUUID(),
          debitAccountId: i % 5 === 4 ? shop! : bank!,
          creditAccountId: i % 5 === 4 ? bank! : shop!,
          amount: i + 1,
          reference: null,
          metadata: {},
        }));
        await createTransferRepository(db).post([
          { owner: 'owner', key: 'k', fingerprint: fingerprintOf('/', false, orders), atomic: false, orders },
        ]);
        const rows = await sql`
          SELECT amount, CASE WHEN debit_account_id = ${shop!} THEN debit_version ELSE credit_version END AS version
          FROM transfers ORDER BY version`;
        expect(rows.map(({ version }) => version)).toEqual(orders.map((_, i) => i + 1));
        expect(rows.map(({ amount: moved }) => moved)).toEqual(orders.map(({ amount: moved }) => moved));
      }),
    SLOW_TEST_MS,
  );
});
