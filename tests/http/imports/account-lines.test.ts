import { afterAll, beforeAll, expect, test } from 'bun:test';
import { importText, openPair, reportOf, toNdjson, transferLine } from '../../support/import-steps.ts';
import { readAccount } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

const TIMEOUT_MS = 60_000;
let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const account = (id: string, more: object = {}) => ({ type: 'account', id, ledger: 'EUR', ...more });
const settings = (id: string, more: object = {}) => ({ type: 'accountSettings', id, ...more });
const ids = (count: number) => Array.from({ length: count }, () => Bun.randomUUIDv7());

test(
  'accounts of a file become trees by the rules of trees, and what breaks them is refused alone',
  async () => {
    const chain = ids(9);
    const [dollars, orphan, alone] = ids(3) as [string, string, string];
    const lines = [
      ...chain.map((id, i) => account(id, i === 0 ? {} : { parentId: chain[i - 1] })),
      account(dollars, { ledger: 'USD', parentId: chain[0] }),
      account(orphan, { parentId: Bun.randomUUIDv7() }),
      account(alone, { parentId: alone }),
      account(Bun.randomUUIDv7(), { parentId: chain[1] }),
    ];
    const done = await importText(atlas, toNdjson(lines));
    expect(done).toMatchObject({ state: 'done', posted: 9, refused: 4 });
    expect(await reportOf(atlas, done.id)).toMatchObject([
      { line: 9, code: 'account_tree_too_deep' },
      { line: 10, code: 'parent_ledger_differs' },
      { line: 11, code: 'parent_not_found' },
      { line: 12, code: 'parent_not_found' },
    ]);
    expect(await importText(atlas, toNdjson(lines))).toMatchObject({ existed: 9, refused: 4 });

    // A parent of another organization is like one that does not exist.
    const other = await atlas.as('other');
    const [theirs] = await openPair(other);
    const stolen = await importText(atlas, toNdjson([account(Bun.randomUUIDv7(), { parentId: theirs })]));
    expect(await reportOf(atlas, stolen.id)).toMatchObject([{ code: 'parent_not_found' }]);
  },
  TIMEOUT_MS,
);

test(
  'settings of a file change accounts like PATCH does, with their events and audit entries, and once',
  async () => {
    const [bank, alice] = await openPair(atlas);
    const [closed] = ids(1) as [string];
    const lines = [
      account(closed),
      transferLine(bank, alice, 100),
      settings(alice, { balanceMin: 20, balanceMax: 500, debitsFrozen: true }),
      settings(closed, { isClosed: true }),
    ];
    expect(await importText(atlas, toNdjson(lines))).toMatchObject({ posted: 4, refused: 0 });
    expect(await readAccount(atlas, alice)).toMatchObject({
      balanceMin: 20,
      balanceMax: 500,
      debitsFrozen: true,
      creditsFrozen: false,
    });
    expect(await readAccount(atlas, closed)).toMatchObject({ closedAt: expect.any(String) });
    expect(await importText(atlas, toNdjson(lines.slice(2)))).toMatchObject({ posted: 0, existed: 2 });

    const events = await atlas.sql`
      SELECT type, data->'changed' AS changed FROM outbox WHERE data->>'accountId' IN (${alice}, ${closed})
        AND type <> 'account.opened.v1' ORDER BY id`;
    expect([...events]).toEqual([
      { type: 'account.updated.v1', changed: ['balanceMax', 'balanceMin', 'debitsFrozen'] },
      { type: 'account.closed.v1', changed: null },
    ]);
    const audited = await atlas.sql`
      SELECT action FROM audit_entries WHERE target_id IN (${alice}, ${closed})
      ORDER BY target_id = ${closed}, id`;
    expect(audited.map(({ action }) => action)).toEqual([
      'account.created',
      'account.updated',
      'account.created',
      'account.closed',
    ]);

    // The last line of an account counts: closed, and opened again.
    const again = [settings(closed), settings(closed, { isClosed: true }), settings(closed)];
    expect(await importText(atlas, toNdjson(again))).toMatchObject({ posted: 3 });
    expect(await readAccount(atlas, closed)).toMatchObject({ closedAt: null });
  },
  TIMEOUT_MS,
);

test(
  'settings that the balance of an account does not allow are refused without effect',
  async () => {
    const [bank, alice] = await openPair(atlas);
    const other = await atlas.as('other');
    const lines = [
      transferLine(bank, alice, 100),
      settings(alice, { isClosed: true, debitsFrozen: true }),
      settings(alice, { balanceMin: 101 }),
      settings(alice, { balanceMax: 99 }),
      settings(Bun.randomUUIDv7()),
    ];
    const done = await importText(atlas, toNdjson(lines));
    expect(await reportOf(atlas, done.id)).toMatchObject([
      { line: 2, code: 'account_not_empty' },
      { line: 3, code: 'balance_below_limit' },
      { line: 4, code: 'balance_above_limit' },
      { line: 5, code: 'account_not_found' },
    ]);
    expect(await readAccount(atlas, alice)).toMatchObject({ debitsFrozen: false, balanceMin: null });
    const theirs = await importText(atlas, toNdjson([settings(alice, { debitsFrozen: true })]), {}, other);
    expect(await reportOf(other, theirs.id)).toMatchObject([{ code: 'account_not_found' }]);

    // An account that was taken below its floor by force elsewhere is so here.
    const overdrawn = [settings(alice, { balanceMin: 150, isOverdrawn: true })];
    expect(await importText(atlas, toNdjson(overdrawn))).toMatchObject({ posted: 1, refused: 0 });
    const [row] = await atlas.sql`SELECT overdrawn_by_force FROM accounts WHERE id = ${alice}`;
    expect(row!.overdrawnByForce).toBe(true);
  },
  TIMEOUT_MS,
);
