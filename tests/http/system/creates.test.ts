import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { generateKey } from '../../../src/utils/sealing.ts';
import { type FilesApp, startFilesApp } from '../../support/file-steps.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';
import { CREATES, type CreateCase, createWorld, ONCE, REPEATABLE, type World } from './creates.ts';

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly responses: Record<string, { readonly description: string; readonly headers?: object }>;
}

const SETTINGS = { WEBHOOKS_ALLOWED_HOSTS: '127.0.0.1', DATABASE_POOL_SIZE: '10' };
// More than there are connections, so that retries have all of them.
const RETRIES = 16;

let atlas: FilesApp;
let world: World;
let other: World;
let colleagues: { readonly key: string; readonly operator: string };
let operations: { method: string; path: string; operation: Operation }[];
beforeAll(async () => {
  atlas = await startFilesApp('directory', { ...SETTINGS, SECRETS_KEY: generateKey() });
  world = await createWorld(atlas, await atlas.key());
  other = await createWorld(atlas, await atlas.key(undefined, 'other'), 'other');
  for (const owner of ['suspended0', 'suspended1']) await atlas.key(['ping:read'], owner);
  colleagues = { key: await atlas.key(), operator: await atlas.operatorKey() };
  const { paths } = atlas.openApi() as { paths: Record<string, Record<string, Operation>> };
  operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method, path, operation })),
  );
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

/** Sends the request of a case, by default the first one of the first organization. */
function create(
  { request, isOperator, isPersonal }: CreateCase,
  key: string | null,
  { n = 0, of = world, to = atlas, token }: { n?: 0 | 1; of?: World; to?: FilesApp; token?: string } = {},
): Promise<Response> {
  const { method, path, json, body } = request(of, n);
  const headers = {
    ...(!isOperator && { Authorization: `Bearer ${isPersonal ? of.session : of.token}` }),
    ...(token !== undefined && { Authorization: `Bearer ${token}` }),
    ...(key !== null && { 'Idempotency-Key': key }),
  };
  return to.call(method, path, { headers, ...(json && { json }), ...(body && { body }) });
}

const rowsOf = async (table: string | undefined) =>
  table === undefined
    ? 0
    : (await atlas.sql<[{ count: number }]>`SELECT count(*)::int FROM ${atlas.sql(table)}`)[0].count;

/** Everything that creates change, so that a test can say that nothing did. */
async function stored(): Promise<string> {
  const tables = [
    'organizations',
    'quotas',
    'api_keys',
    'accounts',
    'transfers',
    'holds',
    'reversals',
    'webhooks',
    'webhook_deliveries',
    'files',
    'outbox',
    'audit_entries',
  ];
  const rows = tables.map(
    (table) =>
      atlas.sql`SELECT coalesce(jsonb_agg(t ORDER BY t::text), '[]')::text AS rows FROM ${atlas.sql(table)} t`,
  );
  return JSON.stringify(await Promise.all(rows));
}

const fieldsOf = (response: Response) =>
  Object.fromEntries(['location', 'etag', 'content-type'].map((name) => [name, response.headers.get(name)]));
const cases = (which: (one: CreateCase) => boolean) =>
  Object.entries(CREATES).filter(([, one]) => which(one));
const isReplayed = (response: Response) => response.headers.get('idempotency-replayed') === 'true';

test('every POST and PUT of the contract takes an Idempotency-Key, or can be repeated without one', () => {
  const writing = operations.filter(({ method }) => method === 'post' || method === 'put');
  const ids = writing.map(({ operation }) => operation.operationId);
  expect([CREATES, ONCE, REPEATABLE].flatMap(Object.keys).sort()).toEqual(ids.sort());
  for (const { operation } of writing) {
    const { operationId, parameters = [], responses } = operation;
    const takesKey = parameters.some(({ name }) => name === 'Idempotency-Key');
    expect({ operationId, takesKey }).toEqual({ operationId, takesKey: !(operationId in REPEATABLE) });
    if (!takesKey) continue;
    const successes = Object.entries(responses).filter(([status]) => status.startsWith('2'));
    for (const [, { headers = {} }] of successes) expect(headers).toHaveProperty('Idempotency-Replayed');
    expect(responses['422']!.description).toContain('`idempotency_key_reused`');
  }
});

describe.each(Object.entries(CREATES))('%s', (id, one) => {
  test('sent again with the same key returns the same response, and does nothing again', async () => {
    const first = await create(one, `${id}-again`);
    expect({ ok: first.ok, replayed: isReplayed(first) }).toEqual({ ok: true, replayed: false });
    const text = await first.text();
    const before = await stored();
    const again = await create(one, `${id}-again`);
    expect({ status: again.status, replayed: isReplayed(again) }).toEqual({
      status: first.status,
      replayed: true,
    });
    expect(await again.text()).toBe(text);
    expect(fieldsOf(again)).toEqual(fieldsOf(first));
    expect(await stored()).toBe(before);
  });

  test('with the same key and other content is refused, and does nothing', async () => {
    expect((await create(one, `${id}-other`)).ok).toBe(true);
    const before = await stored();
    await expectProblem(atlas, await create(one, `${id}-other`, { n: 1 }), 422, 'idempotency_key_reused');
    expect(await stored()).toBe(before);
  });

  test('sent many times at once happens once', async () => {
    const before = await rowsOf(one.table);
    const responses = await Promise.all(Array.from({ length: RETRIES }, () => create(one, `${id}-rush`)));
    const done = responses.filter(({ status }) => status !== one.refusesRush);
    for (const response of done) expect(response.ok).toBe(true);
    expect(new Set(await Promise.all(done.map((response) => response.text()))).size).toBe(1);
    expect(done.filter((response) => !isReplayed(response))).toHaveLength(1);
    expect(await rowsOf(one.table)).toBe(before + (one.table === undefined ? 0 : 1));
  });

  test.if(!one.requiresKey)('without a key stores no response', async () => {
    const before = await rowsOf('idempotent_responses');
    const response = await create(one, one.isLedger ? `${id}-first` : null);
    expect({ ok: response.ok, replayed: isReplayed(response) }).toEqual({ ok: true, replayed: false });
    expect(await rowsOf('idempotent_responses')).toBe(before);
  });
});

describe.each(cases(({ isOperator }) => !isOperator))('%s', (id, one) => {
  test('never gets the response of another organization', async () => {
    const mine = await (await create(one, `${id}-shared`)).text();
    const theirs = await create(one, `${id}-shared`, { of: other });
    expect({ ok: theirs.ok, replayed: isReplayed(theirs) }).toEqual({ ok: true, replayed: false });
    expect(await theirs.text()).not.toBe(mine);
  });
});

describe.each(cases(({ isPersonal }) => !isPersonal))('%s', (id, one) => {
  const others = one.isSecret ? 'is refused' : 'gets the same response';
  test(`sent by a colleague with the same key ${others}`, async () => {
    const text = await (await create(one, `${id}-colleague`)).text();
    const before = await stored();
    for (const token of one.isOperator ? [colleagues.operator] : [colleagues.key, world.session]) {
      const theirs = await create(one, `${id}-colleague`, { token });
      if (one.isSecret) await expectProblem(atlas, theirs, 422, 'idempotency_key_reused');
      else expect(await theirs.text()).toBe(text);
    }
    expect(await stored()).toBe(before);
    expect(await (await create(one, `${id}-colleague`)).text()).toBe(text);
  });
});

describe.each(cases(({ isLedger }) => !isLedger))('%s', (id, one) => {
  test('does not happen if its response cannot be stored', async () => {
    const before = await stored();
    await atlas.sql`ALTER TABLE idempotent_responses ADD CONSTRAINT none CHECK (false) NOT VALID`;
    const response = await create(one, `${id}-unstored`);
    await atlas.sql`ALTER TABLE idempotent_responses DROP CONSTRAINT none`;
    expect(response.status).toBe(500);
    expect(await stored()).toBe(before);
  });

  test('has its response stored sealed if it contains a secret', async () => {
    expect((await create(one, `${id}-stored`)).ok).toBe(true);
    const [row] = await atlas.sql<[{ response: string }]>`
      SELECT response FROM idempotent_responses WHERE key = ${`${id}-stored`}`;
    expect(row.response).toStartWith(one.isSecret ? 'v1.' : '{"');
  });
});

test('without a key for secrets outside of development, only responses with a secret need one', async () => {
  const production = await startFilesApp('directory', { ...SETTINGS, ENVIRONMENT: 'production' });
  // Its webhooks are older than the sealing of secrets.
  await production.sql`UPDATE secrets_at_rest SET sealed_since = NULL`;
  const own = await createWorld(production, await production.key());
  for (const owner of ['suspended0', 'suspended1']) await production.key(['ping:read'], owner);
  for (const [id, one] of Object.entries(CREATES)) {
    const { status } = await create(one, id, { of: own, to: production });
    expect({ id, refused: status === 503 }).toEqual({
      id,
      refused: one.isSecret === true || one.mailsSecret === true,
    });
  }
  await production.close();
});
