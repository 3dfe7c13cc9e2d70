import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Database } from '../../../src/adapters/postgres/database.ts';
import type { Sql } from '../../../src/adapters/postgres/postgres.ts';
import type { Filter } from '../../../src/features/ledger/filter.ts';
import type { Found, Search } from '../../../src/features/ledger/search/found.ts';
import { createSearchRepository, SEARCH_BOUNDS } from '../../../src/features/ledger/search/repository.ts';
import { availableEngines } from '../../support/database.ts';
import { insertAccounts, SLOW_TEST_MS, withDatabase } from './ledger-database.ts';
import { type Item, matches } from './search-evaluator.ts';

const OWNERS = ['ann', 'bob'] as const;
const TRANSFERS = 150;
const FILTERS = 100;
const START_MS = Date.UTC(2026, 0, 1);
// Few, so that filters match some of them, and in an order of bytes that no locale has.
const TEXTS = ['', 'a', 'B', 'ab', 'ä', 'é', '%', '_', "'", '"', '\\', '{}', '\u{1f9c0}', '\uffee'];
const KEYS = ['k', 'K', 'a.b', "o'k", '"', 'metadata.k', '🧀'];

const text = fc.constantFrom(...TEXTS);
const amount = fc.integer({ min: 1, max: 20 });
const metadata = fc.dictionary(fc.constantFrom(...KEYS), text, { maxKeys: 4 });
const sometimes = <T>(one: fc.Arbitrary<T>) => fc.option(one, { nil: undefined });

/** Leaves out what is undefined, and is never empty. */
const comparison = (ranges: fc.Arbitrary<string | number>, others: Record<string, fc.Arbitrary<unknown>>) =>
  fc
    .record({
      gte: sometimes(ranges),
      gt: sometimes(ranges),
      lte: sometimes(ranges),
      lt: sometimes(ranges),
      ...Object.fromEntries(Object.entries(others).map(([name, one]) => [name, sometimes(one)])),
    })
    .map((record) => Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)))
    .filter((record) => Object.keys(record).length > 0);
const single = (one: fc.Arbitrary<string | number>, isNullable: boolean) =>
  fc.oneof(
    one.map((eq) => ({ eq })),
    fc.array(one, { minLength: 1, maxLength: 4 }).map((list) => ({ in: list })),
    ...(isNullable ? [fc.constant({ eq: null })] : []),
  );

interface Texts {
  readonly ids: readonly string[];
}

function filterOf({ ids }: Texts): fc.Arbitrary<Filter> {
  const id = fc.constantFrom(...ids);
  const time = fc.integer({ min: -2, max: TRANSFERS / 3 }).map((n) => START_MS + n);
  const ofText = fc.oneof(
    { weight: 3, arbitrary: single(text, true) },
    { weight: 2, arbitrary: comparison(text, { startsWith: text, eq: text }) },
  );
  const named = (field: fc.Arbitrary<string>, is: fc.Arbitrary<object>) =>
    fc.record({ field, is }) as fc.Arbitrary<Filter>;
  const comparisons = fc.oneof(
    named(fc.constantFrom(...KEYS.map((key) => `metadata.${key}`)), ofText),
    named(fc.constant('reference'), ofText),
    named(fc.constant('amount'), fc.oneof(single(amount, false), comparison(amount, {}))),
    named(fc.constantFrom('debitAccountId', 'creditAccountId', 'accountId'), single(id, false)),
    named(fc.constant('createdAt'), comparison(time, {})),
  );
  return fc.letrec<{ filter: Filter }>((tie) => ({
    filter: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      comparisons,
      fc.array(tie('filter'), { minLength: 1, maxLength: 3 }).map((and): Filter => ({ and })),
      fc.array(tie('filter'), { minLength: 1, maxLength: 3 }).map((or): Filter => ({ or })),
      tie('filter').map((not): Filter => ({ not })),
    ),
  })).filter;
}

interface Stored extends Item {
  readonly id: string;
  readonly micros: number;
  readonly payer: string;
  readonly payee: string;
}

/** Stores random transfers between accounts of both owners, some of the same millisecond and some of the same moment. */
async function store(sql: Sql, ids: readonly string[]): Promise<Stored[]> {
  const ownerOf = (i: number) => OWNERS[i % 2]!;
  const made = fc.sample(
    fc.record({
      debit: fc.nat({ max: ids.length - 1 }),
      step: fc.integer({ min: 1, max: ids.length - 1 }),
      amount,
      reference: fc.option(text.filter((one) => one !== '')),
      metadata,
      micros: fc.integer({ min: 0, max: (TRANSFERS / 3) * 4 }).map((n) => n * 250),
    }),
    TRANSFERS,
  );
  const stored = made.map(({ debit, step, micros, ...one }): Stored => {
    const credit = (debit + step) % ids.length;
    return {
      id: crypto.randomUUID(),
      micros,
      payer: ownerOf(debit),
      payee: ownerOf(credit),
      metadata: one.metadata,
      fields: {
        amount: one.amount,
        reference: one.reference,
        ledger: 'EUR',
        debitAccountId: ids[debit]!,
        creditAccountId: ids[credit]!,
        createdAt: START_MS + Math.floor(micros / 1000),
      },
    };
  });
  for (const [i, one] of stored.entries())
    await sql`
      INSERT INTO transfers (id, debit_account_id, debit_version, credit_account_id, credit_version, ledger, amount,
        reference, metadata, created_at)
      VALUES (${one.id}, ${one.fields.debitAccountId!}, ${i}, ${one.fields.creditAccountId!}, ${i}, 'EUR',
        ${one.fields.amount!}, ${one.fields.reference!}, ${sql.json(one.metadata)},
        ${new Date(START_MS).toISOString()}::timestamptz + ${one.micros} * interval '1 microsecond')`;
  return stored;
}

/** What an owner must find, in order. */
function expected(stored: readonly Stored[], { owner, filter, order }: Search): string[] {
  const direction = order === 'oldest first' ? 1 : -1;
  return stored
    .filter(({ payer, payee }) => payer === owner || payee === owner)
    .filter((one) => matches(filter!, one.payer === owner ? one : { ...one, metadata: {} }))
    .toSorted((a, b) => direction * (a.micros - b.micros || (a.id < b.id ? -1 : 1)))
    .map(({ id }) => id);
}

async function findAll(db: Database, examinedMax: number, search: Search): Promise<string[]> {
  const repository = createSearchRepository(db, { ...SEARCH_BOUNDS, examinedMax });
  const ids: string[] = [];
  let after: Found['next'] = null;
  do {
    const page: Found = await repository.transfers({ ...search, after });
    expect(page.ids.length).toBeLessThanOrEqual(search.limit);
    ids.push(...page.ids);
    after = page.next;
  } while (after !== null);
  return ids;
}

describe.each(availableEngines())('on the %s PostgreSQL', (engine) => {
  test(
    'any filter finds exactly what a plain comparison finds, for payer and payee, in any order, page by page',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const accounts = Array.from({ length: 6 }, (_, i) => ({
          ledger: 'EUR',
          allowNegative: true,
          owner: OWNERS[i % 2]!,
        }));
        const ids = await insertAccounts(sql, accounts);
        const stored = await store(sql, ids);
        await sql`UPDATE search_progress SET has_transfers = false`;
        const step = createSearchRepository(db).index;
        while ((await step()).hasMore) {}
        await fc.assert(
          fc.asyncProperty(
            filterOf({ ids }),
            fc.constantFrom(...OWNERS),
            fc.constantFrom('oldest first', 'newest first'),
            fc.constantFrom(7, 50),
            fc.constantFrom(30, 1000),
            async (filter, owner, order, limit, examinedMax) => {
              const search = { owner, filter, order, after: null, limit } as const;
              expect(await findAll(db, examinedMax, search)).toEqual(expected(stored, search));
            },
          ),
          { numRuns: FILTERS },
        );
      }),
    SLOW_TEST_MS,
  );
});
