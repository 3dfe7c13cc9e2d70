import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type FullAccount, saveTemplate } from '../../support/account-steps.ts';
import type { ApiCaller } from '../../support/api-caller.ts';
import { openAccount, readAccount } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

const TEMPLATES_MAX = 100;
const ACCOUNTS_MAX = 200;
const RETRIES = 12;

interface Chart {
  readonly template: string;
  readonly templateVersion: number;
  readonly accounts: readonly { ref: string; id: string; name: string; parentId: string | null }[];
}

const AT_ONCE = 15;

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const account = (ref: string, rest: object = {}) => ({ ref, name: `The ${ref}`, ledger: 'EUR', ...rest });
const FUND = {
  title: 'A fund',
  accounts: [
    account('fund', { name: '{fund}', metadata: { code: '{code}', kind: 'fund' } }),
    account('cash', { name: 'Cash of {fund}', parent: 'fund', balanceMax: 500, kind: 'asset' }),
    account('credit', { parent: 'cash', balanceMin: -40 }),
    account('dollars', { ledger: 'USD', allowNegative: true }),
  ],
};
const VALUES = { fund: 'Alpha {code}', code: '17' };
const openChart = (name: string, json: object, key?: string, as: ApiCaller = atlas) =>
  as.call('POST', `/v1/account-templates/${name}/open`, {
    json,
    headers: key === undefined ? {} : { 'Idempotency-Key': key },
  });
const countAccounts = async () =>
  (await atlas.sql<[{ count: number }]>`SELECT count(*)::int AS count FROM accounts`)[0].count;
const namesOf = async (query = '') => {
  const response = await atlas.call('GET', `/v1/account-templates${query}`);
  return (await response.json()) as { templates: { name: string }[]; nextCursor: string | null };
};

describe('a template', () => {
  test('is saved, read, replaced with its ETag, and deleted', async () => {
    const created = await saveTemplate(atlas, 'fund', FUND);
    expect([created.status, created.headers.get('etag')]).toEqual([201, '"1"']);
    const stored = await created.json();
    expect(stored).toMatchObject({
      name: 'fund',
      title: 'A fund',
      version: 1,
      accounts: [
        { ref: 'fund', name: '{fund}', parent: null, allowNegative: false, balanceMin: null },
        { ref: 'cash', parent: 'fund', balanceMax: 500, kind: 'asset', metadata: {} },
        { ref: 'credit', parent: 'cash', balanceMin: -40 },
        { ref: 'dollars', ledger: 'USD', allowNegative: true },
      ],
    });
    const read = await atlas.call('GET', '/v1/account-templates/fund');
    expect([read.status, read.headers.get('etag'), await read.json()]).toEqual([200, '"1"', stored]);
    const again = await saveTemplate(atlas, 'fund', FUND);
    expect([again.status, await again.json()]).toEqual([200, stored]);

    const other = { ...FUND, title: 'Another' };
    await expectProblem(atlas, await saveTemplate(atlas, 'fund', other), 428, 'precondition_required');
    const stale = await saveTemplate(atlas, 'fund', other, { 'If-Match': '"2"' });
    await expectProblem(atlas, stale, 412, 'precondition_failed');
    const replaced = await saveTemplate(atlas, 'fund', other, { 'If-Match': '"1"' });
    expect([replaced.status, replaced.headers.get('etag')]).toEqual([200, '"2"']);
    const listed = (await namesOf()).templates.find(({ name }) => name === 'fund');
    expect(listed).toMatchObject({ title: 'Another', version: 2, accountCount: 4 });

    const remove = (headers = {}) => atlas.call('DELETE', '/v1/account-templates/fund', { headers });
    await expectProblem(atlas, await remove({ 'If-Match': '"1"' }), 412, 'precondition_failed');
    expect((await remove({ 'If-Match': '"2"' })).status).toBe(204);
    await expectProblem(atlas, await remove(), 404, 'account_template_not_found');
    await expectProblem(
      atlas,
      await atlas.call('GET', '/v1/account-templates/fund'),
      404,
      'account_template_not_found',
    );
    const missing = await saveTemplate(atlas, 'fund', FUND, { 'If-Match': '*' });
    await expectProblem(atlas, missing, 412, 'precondition_failed');
    const entries =
      await atlas.sql`SELECT action FROM audit_entries WHERE target_type = 'account_template' ORDER BY id`;
    expect(entries.map(({ action }) => action)).toEqual([
      'account_template.created',
      'account_template.updated',
      'account_template.deleted',
    ]);
  });

  test.each([
    ['no account', [], '/accounts'],
    ['two accounts of one ref', [account('a'), account('a')], '/accounts/1/ref'],
    ['a parent after its child', [account('a', { parent: 'b' }), account('b')], '/accounts/0/parent'],
    ['an account that is its own parent', [account('a', { parent: 'a' })], '/accounts/0/parent'],
    [
      'a parent on another ledger',
      [account('a'), account('b', { ledger: 'USD', parent: 'a' })],
      '/accounts/1/parent',
    ],
    ['a floor above zero', [account('a', { balanceMin: 1 })], '/accounts/0/balanceMin'],
    ['a ceiling below zero', [account('a', { balanceMax: -1 })], '/accounts/0/balanceMax'],
    [
      'a tree that is too deep',
      Array.from({ length: 9 }, (_, i) => account(`a${i}`, i > 0 ? { parent: `a${i - 1}` } : {})),
      '/accounts/8/parent',
    ],
    ['too many accounts', Array.from({ length: ACCOUNTS_MAX + 1 }, (_, i) => account(`a${i}`)), '/accounts'],
    [
      'too many placeholders',
      [account('a', { name: Array.from({ length: 21 }, (_, i) => `{p${i}}`).join('') })],
      '/accounts',
    ],
  ])('with %s is refused', async (_, accounts, pointer) => {
    await expectProblem(atlas, await saveTemplate(atlas, 'wrong', { accounts }), 400, 'invalid_request', [
      pointer,
    ]);
  });

  test('of another organization is like one that does not exist, and names may be the same', async () => {
    const other = await atlas.as('other');
    expect((await saveTemplate(atlas, 'mine', FUND)).status).toBe(201);
    for (const response of [
      await other.call('GET', '/v1/account-templates/mine'),
      await other.call('DELETE', '/v1/account-templates/mine'),
      await openChart('mine', { values: VALUES }, undefined, other),
    ])
      await expectProblem(atlas, response, 404, 'account_template_not_found');
    const theirs = await saveTemplate(other, 'mine', { accounts: [account('a')] });
    expect(theirs.status).toBe(201);
    expect((await atlas.call('GET', '/v1/account-templates/mine')).headers.get('etag')).toBe('"1"');
  });

  test('is one of at most 100, however many are saved at once, and lists have each of them once', async () => {
    const many = await atlas.as('many');
    const names = Array.from({ length: TEMPLATES_MAX + 5 }, (_, i) => `t${i}`);
    const statuses: number[] = [];
    // So few at once that a busy machine sheds none of them. The last are too many.
    for (let at = 0; at < names.length; at += AT_ONCE) {
      const some = names.slice(at, at + AT_ONCE);
      const saved = await Promise.all(
        some.map((name) => saveTemplate(many, name, { accounts: [account('a')] })),
      );
      statuses.push(...saved.map(({ status }) => status));
    }
    expect(statuses.sort()).toEqual([...Array(TEMPLATES_MAX).fill(201), ...Array(5).fill(422)]);
    const seen: string[] = [];
    for (let query = '?limit=30'; query !== ''; ) {
      const response = await many.call('GET', `/v1/account-templates${query}`);
      const page = (await response.json()) as Awaited<ReturnType<typeof namesOf>>;
      seen.push(...page.templates.map(({ name }) => name));
      query = page.nextCursor === null ? '' : `?limit=30&cursor=${page.nextCursor}`;
    }
    expect(seen).toEqual([...new Set(seen)].sort());
    expect(seen).toHaveLength(TEMPLATES_MAX);
  });
});

describe('a chart', () => {
  test('has all accounts of its template, below an account, with values in names and metadata', async () => {
    expect((await saveTemplate(atlas, 'chart', { accounts: FUND.accounts.slice(0, 3) })).status).toBe(201);
    const root = await openAccount(atlas);
    const response = await openChart('chart', { values: VALUES, parentId: root.id });
    expect(response.status).toBe(201);
    const { accounts } = (await response.json()) as Chart;
    expect(accounts.map(({ ref }) => ref)).toEqual(['fund', 'cash', 'credit']);
    const [fund, cash, credit] = (await Promise.all(
      accounts.map(({ id }) => readAccount(atlas, id)),
    )) as FullAccount[];
    // A value is text, not a template.
    const opened = { parentId: root.id, name: 'Alpha {code}', metadata: { code: '17', kind: 'fund' } };
    expect(fund).toMatchObject(opened);
    expect(cash).toMatchObject({ parentId: fund!.id, name: 'Cash of Alpha {code}', balanceMax: 500 });
    expect(credit).toMatchObject({ parentId: cash!.id, name: 'The credit', balanceMin: -40 });
    const rollup = await atlas.call('GET', `/v1/accounts/${root.id}/rollup`);
    expect(await rollup.json()).toMatchObject({ accounts: 4 });
    const events = await atlas.sql`
      SELECT data FROM outbox WHERE type = 'account.opened.v1' AND key = ANY (${accounts.map(({ id }) => id)})`;
    expect(events.map(({ data }) => data)).toContainEqual(
      expect.objectContaining({ accountId: cash!.id, parentId: fund!.id, balanceMax: 500, balanceMin: null }),
    );
    expect(events).toHaveLength(3);
    const audited = await atlas.sql`
      SELECT FROM audit_entries WHERE action = 'account.created' AND target_id = ANY (${accounts.map(({ id }) => id)})`;
    expect(audited).toHaveLength(3);
  });

  test('is opened once by a key, however often and at once it is sent, also after its template has changed', async () => {
    expect((await saveTemplate(atlas, 'once', FUND)).status).toBe(201);
    const before = await countAccounts();
    const sent = await Promise.all(
      Array.from({ length: RETRIES }, () => openChart('once', { values: VALUES }, 'once')),
    );
    const texts = await Promise.all(sent.map((response) => response.text()));
    expect(new Set(sent.map(({ status }) => status))).toEqual(new Set([201]));
    expect(new Set(texts).size).toBe(1);
    expect(await countAccounts()).toBe(before + FUND.accounts.length);
    expect((await atlas.call('DELETE', '/v1/account-templates/once')).status).toBe(204);
    const late = await openChart('once', { values: VALUES }, 'once');
    expect([late.status, late.headers.get('idempotency-replayed'), await late.text()]).toEqual([
      201,
      'true',
      texts[0]!,
    ]);
    const other = await openChart('once', { values: { ...VALUES, code: '18' } }, 'once');
    await expectProblem(atlas, other, 422, 'idempotency_key_reused');
  });

  test.each([
    ['without a value', { values: { fund: 'A' } }, ['/values/code']],
    ['with a value for nothing', { values: { ...VALUES, codes: '1' } }, ['/values/codes']],
    [
      'with a value that makes a name too long',
      { values: { fund: 'A'.repeat(200), code: '1' } },
      ['/values'],
    ],
  ])('%s is refused, and opens nothing', async (_, json, pointers) => {
    await saveTemplate(atlas, 'strict', FUND);
    const before = await countAccounts();
    await expectProblem(atlas, await openChart('strict', json), 422, 'template_values_invalid', pointers);
    expect(await countAccounts()).toBe(before);
  });

  test('that does not fit below its parent is refused, and opens nothing', async () => {
    await saveTemplate(atlas, 'fitting', { accounts: FUND.accounts });
    const before = await countAccounts();
    const values = VALUES;
    for (const [parentId, code] of [
      [crypto.randomUUID(), 'parent_not_found'],
      // Some of it would fit.
      [(await openAccount(atlas)).id, 'parent_ledger_differs'],
    ] as const)
      await expectProblem(atlas, await openChart('fitting', { values, parentId }), 422, code);
    expect(await countAccounts()).toBe(before + 1);
    let deep: string | null = null;
    for (let i = 0; i < 6; i++) deep = (await openAccount(atlas, { parentId: deep })).id;
    await saveTemplate(atlas, 'deep', { accounts: FUND.accounts.slice(0, 3) });
    const opened = await openChart('deep', { values, parentId: deep });
    await expectProblem(atlas, opened, 422, 'account_tree_too_deep');
    expect(await countAccounts()).toBe(before + 7);
  });

  test('can have 200 accounts, eight deep', async () => {
    const accounts = Array.from({ length: ACCOUNTS_MAX }, (_, i) =>
      account(`a${i}`, i % 8 === 0 ? {} : { parent: `a${i - 1}` }),
    );
    expect((await saveTemplate(atlas, 'large', { accounts })).status).toBe(201);
    const opened = (await (await openChart('large', {})).json()) as Chart;
    expect(opened.accounts).toHaveLength(ACCOUNTS_MAX);
    const rollup = await atlas.call('GET', `/v1/accounts/${opened.accounts[0]!.id}/rollup`);
    expect(await rollup.json()).toMatchObject({ accounts: 8 });
  });
});
