import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createDocument, newKind, putDocument, registerKind } from '../../support/document-steps.ts';
import { openAccount } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const register = (kind: string, schema: unknown, ifMatch?: string) =>
  atlas.call('PUT', `/v1/document-kinds/${kind}`, {
    json: { schema },
    headers: { ...(ifMatch !== undefined && { 'If-Match': ifMatch }) },
  });

test('a schema is returned as it was sent, with all its versions', async () => {
  const kind = newKind();
  const first = { type: 'object', properties: { z: true, a: { minimum: 1 } } };
  expect((await register(kind, first)).status).toBe(201);
  expect((await register(kind, { type: 'object' }, '"1"')).status).toBe(200);
  const newest = await atlas.call('GET', `/v1/document-kinds/${kind}`);
  expect(newest.headers.get('etag')).toBe('"2"');
  const former = await (await atlas.call('GET', `/v1/document-kinds/${kind}?version=1`)).text();
  expect(former).toContain(JSON.stringify(first));
  const list = await (await atlas.call('GET', `/v1/document-kinds/${kind}/versions?limit=1`)).json();
  expect(list).toMatchObject({ versions: [{ version: 2 }], nextCursor: 'v2' });
  const rest = await atlas.call('GET', `/v1/document-kinds/${kind}/versions?cursor=v2`);
  expect(await rest.json()).toMatchObject({ versions: [{ version: 1 }], nextCursor: null });
  const missing = await atlas.call('GET', `/v1/document-kinds/${kind}?version=3`);
  await expectProblem(atlas, missing, 404, 'document_kind_not_found');
});

test('kinds are listed by name, a page after another', async () => {
  const other = await atlas.as('lister');
  for (const kind of ['b', 'a-1', 'a']) await registerKind(other, {}, kind);
  const page = async (query: string) => (await other.call('GET', `/v1/document-kinds${query}`)).json();
  expect(await page('?limit=2')).toMatchObject({
    kinds: [{ kind: 'a' }, { kind: 'a-1' }],
    nextCursor: 'ka-1',
  });
  expect(await page('?cursor=ka-1')).toMatchObject({ kinds: [{ kind: 'b' }], nextCursor: null });
});

test('a change needs the ETag of the last version, and the same schema again changes nothing', async () => {
  const kind = await registerKind(atlas, { required: ['a'] });
  await expectProblem(atlas, await register(kind, {}), 428, 'precondition_required');
  await expectProblem(atlas, await register(kind, {}, '"2"'), 412, 'precondition_failed');
  await expectProblem(atlas, await register(newKind(), {}, '*'), 412, 'precondition_failed');
  expect((await register(kind, { required: ['a'] })).headers.get('etag')).toBe('"1"');
  const responses = await Promise.all(
    Array.from({ length: 10 }, (_, n) => register(kind, { minProperties: n }, '"1"')),
  );
  expect(responses.map(({ status }) => status).sort()).toEqual([200, ...Array(9).fill(412)]);
});

test('documents are validated with the newest schema, and those that are stored stay as they are', async () => {
  const kind = await registerKind(atlas, { properties: { a: { type: 'string' } } });
  const { accountId } = await createDocument(atlas, kind, { a: 'x' });
  await register(kind, { properties: { a: { type: 'number' } } }, '"1"');
  const stored = await (await atlas.call('GET', `/v1/accounts/${accountId}/documents/${kind}`)).json();
  expect(stored).toMatchObject({ kindVersion: 1, content: { a: 'x' } });
  const refused = await putDocument(atlas, accountId, kind, { a: 'y' }, '*');
  await expectProblem(atlas, refused, 422, 'document_invalid', ['/content/a']);
  const again = await putDocument(atlas, accountId, kind, { a: 'x' }, '*');
  await expectProblem(atlas, again, 422, 'document_invalid', ['/content/a']);
  const changed = await putDocument(atlas, accountId, kind, { a: 1 }, '*');
  expect(await changed.json()).toMatchObject({ version: 2, kindVersion: 2 });
});

test('while a schema changes, every stored document matches the version that it names', async () => {
  const kind = await registerKind(atlas, { properties: { v: { const: 1 } } });
  const accounts = await Promise.all(Array.from({ length: 20 }, () => openAccount(atlas)));
  const store = async (id: string) => {
    for (let v = 1; ; v = 3 - v) {
      const { status } = await putDocument(atlas, id, kind, { v });
      if (status === 201) return;
      expect(status).toBe(422);
    }
  };
  const first = accounts.slice(0, 10).map(({ id }) => store(id));
  const changed = register(kind, { properties: { v: { const: 2 } } }, '"1"');
  const later = accounts.slice(10).map(({ id }) => store(id));
  await Promise.all([...first, changed, ...later]);
  await store((await openAccount(atlas)).id);
  const rows = await atlas.sql<{ v: number; kindVersion: number }[]>`
    SELECT (content->>'v')::int AS v, kind_version FROM document_versions v JOIN documents d ON d.id = v.document_id
    WHERE d.kind = ${kind}`;
  expect(rows).toHaveLength(21);
  for (const { v, kindVersion } of rows) expect(v).toBe(kindVersion);
});

describe('a schema that cannot be used is refused', () => {
  test.each<[string, unknown, string]>([
    [
      'a keyword that does not exist',
      { properties: { a: { requierd: [] } } },
      '/schema/properties/a/requierd',
    ],
    ['a remote reference', { $ref: 'http://169.254.169.254/' }, '/schema/$ref'],
    ['a reference to itself', { allOf: [{ $ref: '#' }] }, '/schema/allOf/0'],
    ['a lookahead', { pattern: '(?=a)' }, '/schema/pattern'],
    ['too many repetitions', { pattern: '(a{100}){100}' }, '/schema/pattern'],
  ])('%s', async (_, schema, pointer) => {
    await expectProblem(atlas, await register(newKind(), schema), 422, 'schema_invalid', [pointer]);
  });

  test('for its size, and for what is no object', async () => {
    const large = { enum: [['x'.repeat(65_536)]] };
    await expectProblem(atlas, await register(newKind(), large), 422, 'document_too_large');
    await expectProblem(atlas, await register(newKind(), true), 400, 'invalid_request', ['/schema']);
  });

  test('for a name that is none', async () => {
    for (const kind of ['A', '1a', 'a_b', 'a'.repeat(64)])
      await expectProblem(atlas, await register(kind, {}), 400, 'invalid_request', ['/path/kind']);
  });
});

test('an organization has 100 kinds, and a kind 100 versions', async () => {
  const full = await atlas.as('full-of-kinds');
  await atlas.sql`
    INSERT INTO document_kinds (owner, kind, version, schema, sha256)
    SELECT 'full-of-kinds', 'k' || n, 1, '{}', sha256('x') FROM generate_series(1, 99) n`;
  await registerKind(full, {}, 'last');
  const call = (kind: string, ifMatch?: string) =>
    full.call('PUT', `/v1/document-kinds/${kind}`, {
      json: { schema: { minProperties: 7 } },
      headers: { ...(ifMatch !== undefined && { 'If-Match': ifMatch }) },
    });
  await expectProblem(atlas, await call('more'), 422, 'too_many_document_kinds');
  await atlas.sql`
    INSERT INTO document_kinds (owner, kind, version, schema, sha256)
    SELECT 'full-of-kinds', 'last', n, '{}', sha256('x') FROM generate_series(2, 100) n`;
  await expectProblem(atlas, await call('last', '*'), 422, 'too_many_document_versions');
});

test('registering a kind takes a scope of its own', async () => {
  const token = await atlas.key(['documents:read', 'documents:write']);
  const headers = { Authorization: `Bearer ${token}` };
  const refused = await atlas.call('PUT', '/v1/document-kinds/a', { json: { schema: {} }, headers });
  await expectProblem(atlas, refused, 403, 'forbidden');
  expect((await atlas.call('GET', '/v1/document-kinds', { headers })).status).toBe(200);
});
