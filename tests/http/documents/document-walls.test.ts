import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { ApiCaller } from '../../support/api-caller.ts';
import { createDocument, putDocument, registerKind, searchAll } from '../../support/document-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

let atlas: TestApp;
let mine: ApiCaller;
let theirs: ApiCaller;
beforeAll(async () => {
  atlas = await startTestApp();
  mine = await atlas.as('mine');
  theirs = await atlas.as('theirs');
  for (const caller of [mine, theirs]) await registerKind(caller, {}, 'identity');
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const UNKNOWN = crypto.randomUUID();

/** Every operation on an account, with what may differ between two IDs left out. */
async function responsesFor(caller: ApiCaller, id: string): Promise<unknown[]> {
  const path = `/v1/accounts/${id}/documents`;
  const json = { content: { a: 1 } };
  const requests: [string, string, object?][] = [
    ['GET', path],
    ['GET', `${path}/identity`],
    ['GET', `${path}/identity?version=1`],
    ['GET', `${path}/identity/versions`],
    ['PUT', `${path}/identity`, { json }],
    ['PUT', `${path}/identity`, { json, headers: { 'If-Match': '*' } }],
    ['PUT', `${path}/identity`, { json: { content: { name: 'A' } }, headers: { 'If-Match': '"1"' } }],
    ['DELETE', `${path}/identity`],
  ];
  const found = [];
  for (const [method, target, options] of requests) {
    const response = await caller.call(method, target, options);
    const { requestId: _, ...problem } = (await response.json()) as Record<string, string>;
    found.push({ ...problem, detail: problem.detail!.replace(id, 'ID') });
  }
  return found;
}

test('accounts of another organization respond exactly as unknown ones, and nothing of them changes', async () => {
  const { accountId } = await createDocument(mine, 'identity');
  const responses = await responsesFor(theirs, accountId);
  expect(responses).toEqual(await responsesFor(theirs, UNKNOWN));
  for (const response of responses) expect(response).toMatchObject({ type: '/problems/account_not_found' });
  const stored = await mine.call('GET', `/v1/accounts/${accountId}/documents/identity`);
  expect(await stored.json()).toMatchObject({ version: 1, content: { name: 'A' } });
});

test('also while organizations are not isolated, when their accounts can be read', async () => {
  const open = await startTestApp();
  try {
    await open.sql`UPDATE transfer_id_secret SET isolates_owners = false`;
    const [one, other] = [await open.as('one'), await open.as('other')];
    for (const caller of [one, other]) await registerKind(caller, {}, 'identity');
    const { accountId } = await createDocument(one, 'identity');
    expect((await other.call('GET', `/v1/accounts/${accountId}`)).status).toBe(200);
    expect(await responsesFor(other, accountId)).toEqual(await responsesFor(other, UNKNOWN));
  } finally {
    await open.close();
  }
});

test('kinds of another organization, and of the test space, are unknown', async () => {
  await registerKind(mine, { required: ['x'] }, 'private');
  for (const caller of [theirs, await atlas.as('mine', 'test')]) {
    const known = await caller.call('GET', '/v1/document-kinds/private');
    expect(known.status).toBe(404);
    expect(await (await caller.call('GET', '/v1/document-kinds')).text()).not.toContain('private');
  }
});

test('a test key and a live key see only documents of their own space', async () => {
  const testing = await atlas.as('mine', 'test');
  await registerKind(testing, {}, 'identity');
  const live = await createDocument(mine, 'identity', { space: 'x' });
  const tested = await createDocument(testing, 'identity', { space: 'x' });
  expect(await responsesFor(testing, live.accountId)).toEqual(await responsesFor(testing, UNKNOWN));
  expect(await responsesFor(mine, tested.accountId)).toEqual(await responsesFor(mine, UNKNOWN));
  expect(await searchAll(testing, 'identity', { space: 'x' })).toEqual([[tested.accountId]]);
  expect(await searchAll(mine, 'identity', { space: 'x' })).toEqual([[live.accountId]]);
});

test('a search finds nothing of others, whatever it looks for', async () => {
  const { accountId } = await createDocument(mine, 'identity', { found: 'by its owner' });
  expect(await searchAll(mine, 'identity', { found: 'by its owner' })).toEqual([[accountId]]);
  expect(await searchAll(theirs, 'identity', { found: 'by its owner' })).toEqual([[]]);
  expect((await searchAll(theirs, 'identity', undefined)).flat()).not.toContain(accountId);
  // Names in the index end with the kind, so content may look like one.
  await createDocument(theirs, 'identity', { 'mine/identity': { found: 'by its owner' } });
  expect(await searchAll(mine, 'identity', { found: 'by its owner' })).toEqual([[accountId]]);
});

const TEXTS = 200_000;
/** The hashes of numbered texts, as an index of PostgreSQL computes them. */
async function hashesOf(prefix: string, count = TEXTS): Promise<number[]> {
  const rows = await atlas.sql<{ hash: string }[]>`
    SELECT (hashtext(${prefix} || n)::bigint & 4294967295)::text AS hash FROM generate_series(1, ${count}) n ORDER BY n`;
  return rows.map(({ hash }) => Number(hash));
}
/** A text for each owner that would have the same entry in the index if its names were OWNER/KIND. */
async function findCollision(): Promise<{ mine: string; theirs: string }> {
  const rotate = (hash: number) => ((hash << 1) | (hash >>> 31)) >>> 0;
  const [member] = await hashesOf('m', 1);
  const entriesOf = async (owner: string) => {
    const rows = await atlas.sql<[{ hash: string }]>`SELECT hashtext(${`${owner}/identity`})::text AS hash`;
    const path = rotate((rotate(Number(rows[0].hash)) ^ member!) >>> 0);
    return (await hashesOf(owner)).map((hash) => (path ^ hash) >>> 0);
  };
  const [mine, theirs] = [await entriesOf('mine'), await entriesOf('theirs')];
  const numbers = new Map(mine.map((entry, i) => [entry, i + 1]));
  const at = theirs.findIndex((entry) => numbers.has(entry));
  expect(at).toBeGreaterThan(-1);
  return { mine: `mine${numbers.get(theirs[at]!)}`, theirs: `theirs${at + 1}` };
}

test('a search reads nothing of others, also if they chose texts that share entries of a predictable index', async () => {
  const texts = await findCollision();
  const { accountId } = await createDocument(mine, 'identity', { m1: texts.mine });
  for (let n = 0; n < 10; n++) await createDocument(theirs, 'identity', { m1: texts.theirs, n });
  expect(await searchAll(mine, 'identity', { m1: texts.mine })).toEqual([[accountId]]);
  const fetched = await atlas.sql.begin(async (tx) => {
    const count = async () => {
      const [row] = await tx<[{ count: number }]>`
        SELECT idx_tup_fetch::int AS count FROM pg_stat_xact_user_tables WHERE relname = 'documents'`;
      return row.count;
    };
    const before = await count();
    const contains = tx.json({ m1: texts.mine });
    await tx`SELECT FROM find_documents('mine', 'identity', ${contains}, NULL, 10, 200, true)`;
    return (await count()) - before;
  });
  // Its own document, once to count and once to find it.
  expect(fetched).toBe(2);
});

describe('documents of an account that is moved to another organization', () => {
  test('follow it with their history, are found there, and count there', async () => {
    const { accountId } = await createDocument(mine, 'identity', { moved: 1 });
    await putDocument(mine, accountId, 'identity', { moved: 2 }, '"1"');
    const deleted = await createDocument(mine, 'identity', { moved: 3 });
    await mine.call('DELETE', `/v1/accounts/${deleted.accountId}/documents/identity`);
    const usage = async () =>
      Object.fromEntries(
        (await atlas.sql<{ owner: string; bytes: number }[]>`SELECT owner, bytes FROM document_usage`).map(
          ({ owner, bytes }) => [owner, bytes],
        ),
      );
    const [before, [{ bytes }]] = [
      await usage(),
      await atlas.sql<[{ bytes: number }]>`
        SELECT sum(bytes)::bigint AS bytes FROM documents WHERE account_id IN (${accountId}, ${deleted.accountId})`,
    ];
    const chosen = { from: 'mine', ids: [accountId, deleted.accountId] };
    const actor = { kind: 'command', id: 'test' } as const;
    expect(await atlas.features.ledger.reassignment.run(chosen, 'theirs', actor)).toBe(2);
    const path = `/v1/accounts/${accountId}/documents/identity`;
    expect((await mine.call('GET', path)).status).toBe(404);
    expect(await (await theirs.call('GET', path)).json()).toMatchObject({
      version: 2,
      content: { moved: 2 },
    });
    expect((await theirs.call('GET', `${path}?version=1`)).status).toBe(200);
    expect(await searchAll(theirs, 'identity', { moved: 2 })).toEqual([[accountId]]);
    expect(await searchAll(mine, 'identity', { moved: 2 })).toEqual([[]]);
    expect((await searchAll(theirs, 'identity', undefined)).flat()).not.toContain(deleted.accountId);
    const after = await usage();
    expect(after.mine).toBe(before.mine! - bytes);
    expect(after.theirs).toBe(before.theirs! + bytes);
    expect((await putDocument(theirs, accountId, 'identity', { moved: 4 }, '"2"')).status).toBe(200);
  });
});
