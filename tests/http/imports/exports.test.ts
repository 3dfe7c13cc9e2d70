import { afterAll, beforeAll, expect, test } from 'bun:test';
import { createDocument, registerKind } from '../../support/document-steps.ts';
import {
  type ExportedLine,
  exportLines,
  importText,
  reportOf,
  toNdjson,
} from '../../support/import-steps.ts';
import { openAccount, openFundedAccount, postTransfer } from '../../support/ledger-steps.ts';
import { holdMoney, postHold, postKeyed } from '../../support/movement-steps.ts';
import { openExchangeAccounts, postSet } from '../../support/set-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

const TIMEOUT_MS = 60_000;
let atlas: TestApp;
let elsewhere: TestApp;
beforeAll(async () => {
  [atlas, elsewhere] = await Promise.all([startTestApp(), startTestApp()]);
}, START_TIMEOUT_MS);
afterAll(() => Promise.all([atlas.close(), elsewhere.close()]));

const isolated = (on: boolean) =>
  atlas.sql`UPDATE transfer_id_secret SET isolates_owners = ${on}, isolation_epoch = isolation_epoch + 1`;
const secret = 'only the payer knows';

/** A ledger with everything that an export has: holds, reversals, floors, documents, and others who pay and are paid. */
async function fill(): Promise<void> {
  const other = await atlas.as('other');
  const bank = await openAccount(atlas, { name: 'Bank', kind: 'equity', metadata: { b: '2', a: '1' } });
  const alice = await openFundedAccount(atlas, bank, 1000);
  const bob = await openFundedAccount(atlas, bank, 50);
  const payer = await openAccount(other, { acceptsFrom: ['*'] });
  await atlas.sql`UPDATE accounts SET accepts_from = '["*"]' WHERE id = ${alice.id}`;
  const pay = (debit: { id: string }, credit: { id: string }, amount: number, more: object = {}) => ({
    debitAccountId: debit.id,
    creditAccountId: credit.id,
    amount,
    ...more,
  });
  await postTransfer(other, pay(payer, alice, 70, { metadata: { secret } }));
  await postTransfer(atlas, pay(alice, payer, 20, { metadata: { order: '7' }, reference: 'rent' }));
  const chosen = Bun.randomUUIDv7();
  await postTransfer(atlas, pay(alice, bob, 40, { id: chosen }));
  expect((await postKeyed(atlas, `/v1/transfers/${chosen}/reverse`, { amount: 15 })).status).toBe(201);
  const settled = await holdMoney(atlas, pay(alice, bob, 30));
  await postHold(atlas, settled.id, { amount: 10 });
  const pending = await holdMoney(atlas, pay(alice, bob, 25, { metadata: { a: 'b' } }));
  await postHold(atlas, pending.id, { amount: 5, keepRest: true });
  await holdMoney(atlas, pay(alice, payer, 3));
  // Money goes to and fro within one batch, so that its order matters.
  const transfers = Array.from({ length: 40 }, (_, i) => (i % 2 ? pay(bob, alice, 30) : pay(alice, bob, 30)));
  expect((await postKeyed(atlas, '/v1/transfers/batch', { transfers })).status).toBe(200);
  await atlas.sql`UPDATE accounts SET balance_min = -100, balance_max = 5000 WHERE id = ${bob.id}`;
  await postTransfer(atlas, pay(bob, bank, 160));
  await atlas.sql`UPDATE accounts SET debits_frozen = true, parent_id = ${bank.id} WHERE id = ${bob.id}`;
  const closed = await openAccount(atlas, { name: 'Closed' });
  await atlas.sql`UPDATE accounts SET closed_at = now() WHERE id = ${closed.id}`;
  await createDocument(atlas, await registerKind(atlas));
  await agree(alice, bob);
}

/** An exchange, a template of accounts, and limits across them, of which one is exceeded by what was paid before. */
async function agree(...[alice, bob]: readonly { readonly id: string }[]): Promise<void> {
  const accounts = { ...(await openExchangeAccounts(atlas)), debitAccountId: alice!.id };
  await postSet(atlas, [{ type: 'exchange', ...accounts, sourceAmount: 101, rate: '1.08345' }]);
  const template = { accounts: [{ ref: 'cash', name: 'Cash of {fund}', ledger: 'EUR', balanceMin: -5 }] };
  expect((await atlas.call('PUT', '/v1/account-templates/fund', { json: template })).status).toBe(201);
  const limits = [
    { name: 'Each transfer', ledger: 'EUR', maxima: { transferAmount: 1 } },
    {
      name: 'Two accounts',
      ledger: 'EUR',
      accountIds: [alice!.id, bob!.id],
      maxima: { dayCount: 5, dayAmount: 9 },
    },
  ];
  for (const json of limits) expect((await atlas.call('POST', '/v1/limits', { json })).status).toBe(201);
}

/** What an export says but for IDs and times that a database assigns, by the names of accounts in their order. */
function contentOf(lines: readonly ExportedLine[]): string[] {
  const names = new Map<unknown, string>();
  const nameOf = (id: unknown) => names.get(id) ?? names.set(id, `#${names.size}`).get(id)!;
  const contents = lines
    .filter(
      ({ type, isExternal, state = 'pending' }) =>
        // What was exchanged is imported as two transfers.
        !['export', 'exchange'].includes(type) && !isExternal && state === 'pending',
    )
    .map((line) => {
      const { createdAt: _, id, holdId: __, version: ___, lines: ____, expiresAt: _____, ...rest } = line;
      if (line.type === 'hold') rest.amount = (line.amount as number) - (line.posted as number);
      delete rest.posted;
      if (Array.isArray(rest.accountIds)) rest.accountIds = rest.accountIds.map(nameOf).sort();
      for (const name of ['debitAccountId', 'creditAccountId', 'accountId', 'parentId'])
        if (rest[name]) rest[name] = nameOf(rest[name]);
      if (line.reversesId) rest.reversesId = 'another';
      return JSON.stringify({ ...rest, ...(line.type.startsWith('account') && { id: nameOf(id) }) });
    });
  // Transfers of an account are in the order of posting. Whatever else was made at one time is in the order of its IDs.
  const isTransfer = (content: string) => content.startsWith('{"type":"transfer"');
  const byAccount = contents.filter(isTransfer).flatMap((content) => {
    const { debitAccountId, creditAccountId } = JSON.parse(content) as Record<string, string>;
    return [debitAccountId!, creditAccountId!].map((account) => ({ account, content }));
  });
  byAccount.sort((a, b) => Number(a.account.slice(1)) - Number(b.account.slice(1)));
  return [
    ...byAccount.map(({ account, content }) => `${account} ${content}`),
    ...contents.filter((content) => !isTransfer(content)).sort(),
  ];
}

test(
  'an export is imported elsewhere to equal accounts, transfers, holds, and documents',
  async () => {
    await isolated(true);
    await fill();
    const exported = await exportLines(atlas, '?documents=true');
    expect(exported.at(-1)).toEqual({ type: 'end', lines: exported.length - 1 });
    expect(JSON.stringify(exported)).not.toContain(secret);
    expect(exported.filter(({ type }) => type === 'exchange')).toMatchObject([
      { sourceAmount: 101, targetAmount: 109, rate: '1.08345', rounding: 'half_even', remainder: '0.42845' },
    ]);
    for (const [type, count] of [
      ['accountTemplate', 1],
      ['limit', 2],
    ] as const)
      expect(exported.filter((line) => line.type === type)).toHaveLength(count);

    const done = await importText(elsewhere, toNdjson(exported));
    expect({ ...done, report: await reportOf(elsewhere, done.id) }).toMatchObject({
      state: 'done',
      refused: 0,
      report: [],
    });
    const again = await exportLines(elsewhere, '?documents=true');
    // Those of others are accounts like any other there.
    const external = new Set(exported.filter(({ isExternal }) => isExternal).map(({ id }) => id));
    const own = again.filter(({ type, id }) => !(type.startsWith('account') && external.has(id)));
    expect(contentOf(own)).toEqual(contentOf(exported));
    const balances = (lines: readonly ExportedLine[]) =>
      Object.fromEntries(
        lines.flatMap(({ type, id, balance }) =>
          type === 'account' && !external.has(id) ? [[id, balance]] : [],
        ),
      );
    expect(balances(again)).toEqual(balances(exported));
    const reserved = (app: TestApp) => app.sql`
    SELECT id, debits_pending, balance_min, balance_max, debits_frozen, parent_id, closed_at IS NOT NULL AS closed
    FROM accounts WHERE owner = 'owner' AND NOT (id = ANY (${[...external] as string[]}::uuid[])) ORDER BY id`;
    expect([...(await reserved(elsewhere))]).toEqual([...(await reserved(atlas))]);
    expect(await (await elsewhere.call('GET', '/v1/ledger/verification')).json()).toMatchObject({ ok: true });

    // The same file again has no effect.
    const twice = await importText(elsewhere, toNdjson(exported));
    expect(twice).toMatchObject({ state: 'done' });
    expect(contentOf(await exportLines(elsewhere, '?documents=true'))).toEqual(contentOf(again));
  },
  TIMEOUT_MS,
);

test(
  'with IDs derived, an export is imported into another organization of the same database',
  async () => {
    const exported = await exportLines(atlas);
    const copy = await atlas.as('copy');
    const done = await importText(atlas, toNdjson(exported), { ids: 'derive' }, copy);
    expect({ ...done, report: await reportOf(copy, done.id) }).toMatchObject({
      state: 'done',
      refused: 0,
      report: [],
    });
    const external = exported.filter(({ isExternal }) => isExternal).length;
    const balances = (lines: readonly ExportedLine[]) =>
      lines
        .flatMap(({ type, isExternal, balance, name }) =>
          type === 'account' && !isExternal ? [`${name} ${balance}`] : [],
        )
        .sort();
    const copied = await exportLines(copy);
    expect(balances(copied).filter((line) => balances(exported).includes(line))).toEqual(balances(exported));
    expect(balances(copied)).toHaveLength(balances(exported).length + external);
    const again = await importText(atlas, toNdjson(exported), { ids: 'derive' }, copy);
    expect(again.state).toBe('done');
    expect(balances(await exportLines(copy))).toEqual(balances(copied));
    const ids = new Set(exported.map(({ id }) => id).filter(Boolean));
    expect(copied.filter(({ id }) => id && ids.has(id))).toEqual([]);
    const keptIds = await importText(atlas, toNdjson(exported), {}, await atlas.as('thief'));
    // The template, and the limit of all accounts, which name nothing of others.
    expect(keptIds.posted).toBe(2);
  },
  TIMEOUT_MS,
);

test(
  'a part of an export is not imported',
  async () => {
    const exported = await exportLines(atlas);
    const cut = await importText(elsewhere, toNdjson(exported.slice(0, -1)));
    expect(cut).toMatchObject({ state: 'failed', failure: 'invalid_lines', posted: 0 });
    const gap = await importText(elsewhere, toNdjson([...exported.slice(0, 3), ...exported.slice(4)]));
    expect(gap).toMatchObject({ state: 'failed', failure: 'invalid_lines', posted: 0 });
  },
  TIMEOUT_MS,
);

test(
  'an export needs the scopes of everything in it, and is recorded',
  async () => {
    const exportWith = async (scopes: string[], query = '') =>
      atlas.call('GET', `/v1/export${query}`, {
        headers: { Authorization: `Bearer ${await atlas.key(scopes)}` },
      });
    await expectProblem(atlas, await exportWith(['transfers:read']), 403, 'forbidden');
    await expectProblem(atlas, await exportWith(['accounts:read']), 403, 'forbidden');
    const both = ['transfers:read', 'accounts:read'];
    await expectProblem(atlas, await exportWith(both, '?documents=true'), 403, 'forbidden');
    const text = await (await exportWith(both)).text();
    expect(text).not.toContain('"type":"document');
    const [entry] = await atlas.sql`SELECT action, target_id FROM audit_entries ORDER BY id DESC LIMIT 1`;
    expect({ ...entry }).toEqual({ action: 'organization.exported', targetId: 'owner' });
  },
  TIMEOUT_MS,
);

test(
  'an organization has one export at a time on a worker, until its reader leaves',
  async () => {
    const first = await atlas.call('GET', '/v1/export');
    await expectProblem(atlas, await atlas.call('GET', '/v1/export'), 429, 'overloaded');
    await first.body!.cancel();
    for (;;) {
      const next = await atlas.call('GET', '/v1/export');
      await next.text();
      if (next.status === 200) break;
      await Bun.sleep(20);
    }
  },
  TIMEOUT_MS,
);
