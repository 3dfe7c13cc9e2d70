import { describe, expect, test } from 'bun:test';
import type { Database } from '../../../src/adapters/postgres/database.ts';
import { createAccountRepository } from '../../../src/features/ledger/accounts/repository.ts';
import { toExchangeId } from '../../../src/features/ledger/exchange.ts';
import { createGraphRepository } from '../../../src/features/ledger/graph/repository.ts';
import { fingerprintOf } from '../../../src/features/ledger/movement.ts';
import { createReassignmentRepository } from '../../../src/features/ledger/reassignment/repository.ts';
import { createSearchRepository } from '../../../src/features/ledger/search/repository.ts';
import { createExchangeRepository } from '../../../src/features/ledger/sets/repository.ts';
import { createTemplateRepository } from '../../../src/features/ledger/templates/repository.ts';
import { createTransferRepository } from '../../../src/features/ledger/transfers/repository.ts';
import { createTreeRepository } from '../../../src/features/ledger/trees/repository.ts';
import { createLedgerRepository } from '../../../src/features/ledger/verification/repository.ts';
import { availableEngines } from '../../support/database.ts';
import { insertAccounts, SLOW_TEST_MS, withDatabase } from './ledger-database.ts';

/** What belongs to one owner. */
interface Belongings {
  readonly owner: string;
  /** Of somebody else, who has paid to the account and was paid back. */
  readonly bank: string;
  readonly account: string;
  readonly transfer: string;
  readonly template: string;
  readonly key: string;
  /** And the transfer of its target. */
  readonly exchange: { readonly id: string; readonly transfer: string };
}

/** Calls a verb as `owner`, for what belongs to `of`. Returns what the owner learns, null for nothing. */
type Verb = (db: Database, owner: string, of: Belongings) => Promise<unknown>;

const ACTOR = { kind: 'command', id: 'test' } as const;
const CONTENT = { ledger: 'EUR', name: null, kind: null, allowNegative: true, metadata: {} };
const orNull = <T>(list: readonly T[]) => (list.length === 0 ? null : list);
const withId = (found: readonly { readonly id: string }[], id: string) =>
  orNull(found.filter((one) => one.id === id));

/** Every verb of the ledger that acts for an owner. */
const VERBS: Readonly<Record<string, Verb>> = {
  'accounts.find': (db, owner, { account }) => createAccountRepository(db).find(owner, account),
  'accounts.change': async (db, owner, { account }) => {
    const change = { acceptsFrom: ['*'] };
    const changes = createAccountRepository(db);
    const changed = await changes.change(owner, account, 'any', change, 'updated', ACTOR);
    return 'account' in changed ? changed : null;
  },
  'accounts.list': async (db, owner, { account }) =>
    withId((await createAccountRepository(db).list(owner, null, 200)).accounts, account),
  'accounts.create': async (db, owner, { account }) => {
    const opened = await createAccountRepository(db).create(account, owner, CONTENT, ACTOR);
    return opened !== null && 'same' in opened && opened.same ? opened : null;
  },
  'trees.rollup': (db, owner, { account }) => createTreeRepository(db).rollup(owner, account),
  'templates.find': (db, owner, { template }) => createTemplateRepository(db).find(owner, template),
  'templates.list': async (db, owner, { template }) =>
    orNull((await createTemplateRepository(db).list(owner, null, 9)).filter(({ name }) => name === template)),
  'templates.save': async (db, owner, { template: name }) => {
    const template = { name, title: 'changed', accounts: [] };
    const saved = await createTemplateRepository(db).save(owner, template, 'any', ACTOR);
    return 'refusal' in saved ? null : saved;
  },
  'templates.remove': async (db, owner, { template }) =>
    (await createTemplateRepository(db).remove(owner, template, 'any', ACTOR)) === 'deleted' || null,
  'transfers.find': (db, owner, { transfer }) => createTransferRepository(db).find(owner, transfer),
  'transfers.listByAccount': async (db, owner, { account }) =>
    orNull((await createTransferRepository(db).listByAccount(owner, account, null, 200)).transfers),
  'transfers.post': async (db, owner, { account }) => {
    const [other] = (await createAccountRepository(db).list(owner, null, 1)).accounts;
    const ids = { id: crypto.randomUUID(), debitAccountId: account, creditAccountId: other?.id ?? account };
    // To itself, a transfer is refused anyway.
    if (other?.id === account) return account;
    const orders = [{ ...ids, amount: 1, reference: null, metadata: {} }];
    const [result] = await createTransferRepository(db).post([
      { owner, key: ids.id, fingerprint: fingerprintOf('/', false, orders), atomic: false, orders },
    ]);
    return result!.state === 'reused' || result!.items[0]!.outcome !== 'posted' ? null : result;
  },
  'transfers.isKeyUsed': async (db, owner, { key }) =>
    (await createTransferRepository(db).isKeyUsed(owner, key)) || null,
  'exchanges.find': (db, owner, { exchange }) => createExchangeRepository(db).find(owner, exchange.id),
  'exchanges.findByTransfer': (db, owner, { exchange }) =>
    createExchangeRepository(db).findByTransfer(owner, exchange.transfer),
  'exchanges.listByAccount': async (db, owner, { account }) =>
    orNull((await createExchangeRepository(db).listByAccount(owner, account, null, 200)).exchanges),
  'graph.neighbors': (db, owner, { account: accountId }) =>
    createGraphRepository(db).neighbors({ owner, accountId, after: null, since: null, limit: 9 }),
  'graph.ways': async (db, owner, { bank, account }) => {
    const search = { owner, from: account, to: bank, depthMax: 2, since: null };
    return orNull((await createGraphRepository(db).ways(search)).paths);
  },
  'search.transfers': async (db, owner, { account, transfer }) => {
    await db.query((sql) => sql`SELECT move_outbox((SELECT epoch FROM relay), 2000)`);
    await createSearchRepository(db).index();
    const is = { eq: account };
    const filter = { field: 'accountId', is };
    const search = { owner, filter, order: 'newest first', after: null, limit: 9 } as const;
    const { ids } = await createSearchRepository(db).transfers(search);
    return ids.includes(transfer) ? ids : null;
  },
  'search.accounts': async (db, owner, { account }) => {
    const search = { owner, filter: null, order: 'oldest first', after: null, limit: 200 } as const;
    const { ids } = await createSearchRepository(db).accounts(search);
    return ids.includes(account) ? ids : null;
  },
  'verification.verify': async (db, owner, { account }) => {
    const { accounts } = await createLedgerRepository(db).verify(owner, 100);
    return accounts === 4 && (await createAccountRepository(db).find(owner, account)) !== null
      ? accounts
      : null;
  },
  'accounts.createAll': async (db, owner, { account: parentId }) => {
    const opened = {
      ...CONTENT,
      name: '',
      id: crypto.randomUUID(),
      balanceMin: null,
      balanceMax: null,
      parentId,
    };
    return (await createAccountRepository(db).createAll(owner, [opened], ACTOR)) === null ? opened : null;
  },
};

/** The others, and why they may act for no owner. */
const WITHOUT_OWNER: Readonly<Record<string, string>> = {
  'search.index': 'of the whole database, by a loop',
  'accounts.oldest': 'for the start and for health; callers never see it',
  'reassignment.isOrganization': 'for operators, on the command line',
  'reassignment.count': 'for operators, on the command line',
  'reassignment.reassign': 'for operators, on the command line',
  'transfers.readSecret': 'of the whole database, and never returned by the API',
  'transfers.waitedMs': 'a time',
  'transfers.forgetKeys': 'a job',
  'exchanges.readBySource': 'of transfers that the same request has posted',
};

/** Exchanges money of an account. */
async function exchangeFrom(db: Database, owner: string, debitAccountId: string) {
  const accounts = createAccountRepository(db);
  const open = async (ledger: string) => {
    const id = crypto.randomUUID();
    await accounts.create(id, owner, { ...CONTENT, ledger }, ACTOR);
    return id;
  };
  const [euros, dollars, payee] = [await open('EUR'), await open('USD'), await open('USD')];
  const text = { amount: 2, reference: null, metadata: {} };
  const [source, transfer] = [crypto.randomUUID(), crypto.randomUUID()];
  const id = toExchangeId(source);
  const terms = { id, rate: '1', rounding: 'down', fixedSide: 'source' } as const;
  const orders = [
    { id: source, debitAccountId, creditAccountId: euros, ...text, exchange: terms },
    { id: transfer, debitAccountId: dollars, creditAccountId: payee, ...text },
  ];
  const fingerprint = fingerprintOf('/', true, orders);
  const request = { owner, key: 'exchange', fingerprint, atomic: true, orders };
  const [result] = await createTransferRepository(db).post([request]);
  expect(result).toMatchObject({ items: [{ outcome: 'posted' }, { outcome: 'posted' }] });
  return { id, transfer };
}

describe.each(availableEngines())('on the %s PostgreSQL', (engine) => {
  test(
    'every verb of the ledger shows and changes what belongs to its owner, and nothing of others',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const verbs = Object.entries({
          accounts: createAccountRepository(db),
          transfers: createTransferRepository(db),
          trees: createTreeRepository(db),
          templates: createTemplateRepository(db),
          reassignment: createReassignmentRepository(db),
          exchanges: createExchangeRepository(db),
          graph: createGraphRepository(db),
          search: createSearchRepository(db),
          verification: createLedgerRepository(db),
        }).flatMap(([name, repository]) => Object.keys(repository).map((verb) => `${name}.${verb}`));
        // A new verb belongs into one of the two tables.
        expect(verbs.sort()).toEqual([...Object.keys(VERBS), ...Object.keys(WITHOUT_OWNER)].sort());

        const [first, second] = [await belongingsOf(db, 'acme'), await belongingsOf(db, 'umbrella')];
        for (const [name, verb] of Object.entries(VERBS)) {
          const before = await everything();
          expect([name, await verb(db, first.owner, second)]).toEqual([name, null]);
          expect([name, await everything()]).toEqual([name, before]);
          expect([name, await verb(db, second.owner, second)]).not.toEqual([name, null]);
        }

        async function everything() {
          return [await sql`SELECT * FROM accounts ORDER BY id`, await sql`SELECT * FROM account_templates`];
        }
        async function belongingsOf(on: Database, owner: string): Promise<Belongings> {
          const [bank, account] = (await insertAccounts(sql, [
            { ledger: 'EUR', allowNegative: true, owner: `${owner} bank`, acceptsFrom: [owner] },
            { ledger: 'EUR', allowNegative: true, owner, acceptsFrom: [`${owner} bank`] },
          ])) as [string, string];
          const transfer = crypto.randomUUID();
          const order = { id: transfer, debitAccountId: bank, creditAccountId: account, amount: 5 };
          const orders = [{ ...order, reference: null, metadata: {} }];
          const back = [
            { ...orders[0]!, id: crypto.randomUUID(), debitAccountId: account, creditAccountId: bank },
          ];
          const fingerprint = fingerprintOf('/', false, orders);
          const request = { fingerprint, atomic: false };
          await createTransferRepository(on).post([
            { ...request, owner: `${owner} bank`, key: transfer, orders },
            { ...request, owner, key: transfer, orders },
            { ...request, owner, key: 'back', orders: back },
          ]);
          const template = `of-${owner}`;
          const accounts = [
            { ...CONTENT, ref: 'a', name: 'A', parent: null, balanceMin: null, balanceMax: null },
          ];
          await createTemplateRepository(on).save(
            owner,
            { name: template, title: null, accounts },
            undefined,
            ACTOR,
          );
          const exchange = await exchangeFrom(on, owner, account);
          return { owner, bank, account, transfer, template, key: transfer, exchange };
        }
      }),
    SLOW_TEST_MS,
  );

  test(
    'reads of several owners share a query, and each gets what it may see',
    () =>
      withDatabase(engine, async (sql, _url, db) => {
        const owners = ['a "quoted" \\ {NULL}', 'Zoë & Söhne/🏦', 'NULL'];
        const ids = await insertAccounts(
          sql,
          owners.map((owner) => ({ ledger: 'EUR', allowNegative: true, owner })),
        );
        const accounts = createAccountRepository(db);
        const found = await Promise.all(owners.flatMap((owner) => ids.map((id) => accounts.find(owner, id))));
        expect(found.map((account) => account?.owner ?? null)).toEqual(
          owners.flatMap((owner, i) => ids.map((_, j) => (i === j ? owner : null))),
        );
      }),
    SLOW_TEST_MS,
  );
});
