import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import {
  createDocument,
  type DocumentResource,
  putDocument,
  registerKind,
} from '../../support/document-steps.ts';
import { openAccount } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
let kind: string;
beforeAll(async () => {
  atlas = await startTestApp();
  kind = await registerKind(atlas, { required: ['name'], properties: { name: { type: 'string' } } });
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const pathOf = ({ accountId, kind: of }: Pick<DocumentResource, 'accountId' | 'kind'>) =>
  `/v1/accounts/${accountId}/documents/${of}`;
const jsonOf = async <T>(response: Response) => (await response.json()) as T;

test('a document is stored with the version of its kind and the digest of its canonical JSON', async () => {
  const stored = await createDocument(atlas, kind, { name: 'Ä', b: [1, { y: null, x: true }], a: 1.5 });
  const canonical = '{"a":1.5,"b":[1,{"x":true,"y":null}],"name":"Ä"}';
  expect(stored).toMatchObject({
    version: 1,
    kindVersion: 1,
    sha256: createHash('sha256').update(canonical).digest('hex'),
    sizeBytes: Buffer.byteLength(canonical),
    content: { name: 'Ä', b: [1, { y: null, x: true }], a: 1.5 },
  });
  const read = await atlas.call('GET', pathOf(stored));
  expect(read.headers.get('etag')).toBe('"1"');
  expect(await jsonOf<DocumentResource>(read)).toEqual(stored);
  const known = { headers: { 'If-None-Match': '"1"' } };
  expect((await atlas.call('GET', pathOf(stored), known)).status).toBe(304);
});

test('every version stays readable, newest first in the list, and a page leads to the next', async () => {
  const { accountId } = await createDocument(atlas, kind, { name: 'v1' });
  await putDocument(atlas, accountId, kind, { name: 'v2' }, '"1"');
  await putDocument(atlas, accountId, kind, { name: 'v3' }, '*');
  const path = pathOf({ accountId, kind });
  for (const version of [1, 2, 3])
    expect(await jsonOf<object>(await atlas.call('GET', `${path}?version=${version}`))).toMatchObject({
      version,
      content: { name: `v${version}` },
    });
  await expectProblem(atlas, await atlas.call('GET', `${path}?version=4`), 404, 'document_not_found');
  type Page = { versions: { version: number }[]; nextCursor: string | null };
  const first = await jsonOf<Page>(await atlas.call('GET', `${path}/versions?limit=2`));
  expect(first.versions.map(({ version }) => version)).toEqual([3, 2]);
  expect(JSON.stringify(first)).not.toContain('v2');
  const rest = await jsonOf<Page>(
    await atlas.call('GET', `${path}/versions?limit=2&cursor=${first.nextCursor}`),
  );
  expect(rest).toMatchObject({ versions: [{ version: 1 }], nextCursor: null });
});

describe('a change is never lost', () => {
  test('without If-Match a document is created and never replaced', async () => {
    const { accountId } = await createDocument(atlas, kind);
    const refused = await putDocument(atlas, accountId, kind, { name: 'B' });
    await expectProblem(atlas, refused, 428, 'precondition_required');
  });

  test('with another ETag, or that of a document that does not exist, it is refused', async () => {
    const { accountId } = await createDocument(atlas, kind);
    for (const etag of ['"2"', 'W/"1"', '"x"', '"99999999999999"'])
      await expectProblem(
        atlas,
        await putDocument(atlas, accountId, kind, { name: 'B' }, etag),
        412,
        'precondition_failed',
      );
    const { id } = await openAccount(atlas);
    for (const etag of ['"1"', '*'])
      await expectProblem(
        atlas,
        await putDocument(atlas, id, kind, { name: 'B' }, etag),
        412,
        'precondition_failed',
      );
  });

  test('of 20 changes of one version at once, exactly one is made', async () => {
    const { accountId } = await createDocument(atlas, kind);
    const responses = await Promise.all(
      Array.from({ length: 20 }, (_, n) => putDocument(atlas, accountId, kind, { name: `n${n}` }, '"1"')),
    );
    const statuses = responses.map(({ status }) => status).sort();
    expect(statuses).toEqual([200, ...Array(19).fill(412)]);
    const [row] = await atlas.sql`
      SELECT count(*) AS versions, max(d.version) AS version FROM documents d JOIN document_versions v ON v.document_id = d.id
      WHERE d.account_id = ${accountId}`;
    expect(row).toMatchObject({ versions: 2, version: 2 });
  });

  test('of 20 that create at once, one creates, and the same content is success for all', async () => {
    const { id } = await openAccount(atlas);
    const same = await Promise.all(
      Array.from({ length: 20 }, () => putDocument(atlas, id, kind, { name: 'A' })),
    );
    expect(same.map(({ status }) => status).sort()).toEqual([...Array(19).fill(200), 201]);
    expect(new Set(same.map((response) => response.headers.get('etag')))).toEqual(new Set(['"1"']));
  });
});

test('what is sent again changes nothing, whatever its If-Match, and records nothing', async () => {
  const { accountId } = await createDocument(atlas, kind, { name: 'A', b: 1 });
  await putDocument(atlas, accountId, kind, { name: 'B', b: 1 }, '"1"');
  const again = await putDocument(atlas, accountId, kind, { b: 1, name: 'B' }, '"1"');
  expect({ status: again.status, etag: again.headers.get('etag') }).toEqual({ status: 200, etag: '"2"' });
  const [row] = await atlas.sql`
    SELECT (SELECT count(*) FROM outbox WHERE key = d.id::text) AS events,
           (SELECT count(*) FROM audit_entries WHERE target_id = d.id::text) AS entries
    FROM documents d WHERE account_id = ${accountId}`;
  expect(row).toMatchObject({ events: 2, entries: 2 });
});

test('a deleted document is gone, its history stays, and it can be created again', async () => {
  const { accountId } = await createDocument(atlas, kind, { name: 'A' });
  const path = pathOf({ accountId, kind });
  const stale = { headers: { 'If-Match': '"2"' } };
  await expectProblem(atlas, await atlas.call('DELETE', path, stale), 412, 'precondition_failed');
  expect((await atlas.call('DELETE', path, { headers: { 'If-Match': '"1"' } })).status).toBe(204);
  await expectProblem(atlas, await atlas.call('DELETE', path), 404, 'document_not_found');
  await expectProblem(atlas, await atlas.call('GET', path), 404, 'document_not_found');
  const list = await jsonOf<object>(await atlas.call('GET', `/v1/accounts/${accountId}/documents`));
  expect(list).toEqual({ documents: [], nextCursor: null });
  expect(await jsonOf<object>(await atlas.call('GET', `${path}?version=2`))).toMatchObject({
    content: null,
    sha256: null,
    kindVersion: null,
  });
  expect(await jsonOf<object>(await atlas.call('GET', `${path}?version=1`))).toMatchObject({
    content: { name: 'A' },
  });
  await expectProblem(
    atlas,
    await putDocument(atlas, accountId, kind, { name: 'B' }, '"2"'),
    412,
    'precondition_failed',
  );
  const created = await putDocument(atlas, accountId, kind, { name: 'A' });
  expect({ status: created.status, etag: created.headers.get('etag') }).toEqual({ status: 201, etag: '"3"' });
});

test('content that does not match is refused with pointers, and nothing is stored', async () => {
  const { id } = await openAccount(atlas);
  const refused = await putDocument(atlas, id, kind, { name: 1 });
  await expectProblem(atlas, refused, 422, 'document_invalid', ['/content/name']);
  await expectProblem(atlas, await putDocument(atlas, id, kind, [1]), 400, 'invalid_request', ['/content']);
  await expectProblem(
    atlas,
    await putDocument(atlas, id, 'unknown-kind', {}),
    404,
    'document_kind_not_found',
  );
  await expectProblem(
    atlas,
    await atlas.call('GET', `/v1/accounts/${id}/documents/${kind}`),
    404,
    'document_not_found',
  );
});

test('neither events nor audit entries contain the content', async () => {
  const secret = 'passport-4711';
  const { accountId } = await createDocument(atlas, kind, { name: secret });
  await putDocument(atlas, accountId, kind, { name: `${secret}!` }, '*');
  await atlas.call('DELETE', pathOf({ accountId, kind }));
  const rows = await atlas.sql<{ sequence: number; data: object; text: string }[]>`
    SELECT o.sequence, o.data, o.data::text AS text FROM outbox o JOIN documents d ON o.key = d.id::text
    WHERE d.account_id = ${accountId} ORDER BY o.sequence`;
  expect(rows.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
  expect(rows[2]!.data).toEqual({ accountId, kind, version: 3, deleted: true });
  const entries = await atlas.sql<{ action: string; text: string }[]>`
    SELECT action, e::text AS text FROM audit_entries e JOIN documents d ON e.target_id = d.id::text
    WHERE d.account_id = ${accountId} ORDER BY e.id`;
  expect(entries.map(({ action }) => action)).toEqual([
    'document.created',
    'document.updated',
    'document.deleted',
  ]);
  for (const { text } of [...rows, ...entries]) expect(text).not.toContain(secret);
});

describe('what is stored is bounded', () => {
  test('an account has 20 documents, deleted ones included', async () => {
    const { accountId } = await createDocument(atlas, kind);
    const [document] = await atlas.sql`SELECT owner FROM documents WHERE account_id = ${accountId}`;
    await atlas.sql`
      INSERT INTO documents (id, account_id, kind, owner, version, bytes)
      SELECT ('00000000-0000-8a71-a505-' || lpad(n::text, 12, '0'))::uuid, ${accountId}, 'k' || n, ${document!.owner}, 1, 0
      FROM generate_series(1, 19) n`;
    const other = await registerKind(atlas);
    await expectProblem(atlas, await putDocument(atlas, accountId, other, {}), 422, 'too_many_documents');
    expect((await putDocument(atlas, accountId, kind, { name: 'B' }, '*')).status).toBe(200);
  });

  test('a document has 1,000 versions, and can still be deleted', async () => {
    const { accountId } = await createDocument(atlas, kind);
    await atlas.sql`
      INSERT INTO document_versions SELECT id, 1000, '{}', sha256('x'), 2, 1, owner FROM documents
      WHERE account_id = ${accountId}`;
    await atlas.sql`UPDATE documents SET version = 1000 WHERE account_id = ${accountId}`;
    const refused = await putDocument(atlas, accountId, kind, { name: 'B' }, '*');
    await expectProblem(atlas, refused, 422, 'too_many_document_versions');
    expect((await atlas.call('DELETE', pathOf({ accountId, kind }))).status).toBe(204);
  });

  test('an organization stores DOCUMENTS_MAX_BYTES, history included, and can still read and delete', async () => {
    const small = await startTestApp({ DOCUMENTS_MAX_BYTES: '1048576' });
    try {
      const of = await registerKind(small);
      const { accountId } = await createDocument(small, of);
      const big = (n: number) => ({ text: `${n}`.padEnd(64_000, 'x') });
      let stored = 1;
      let response = await putDocument(small, accountId, of, big(0), '*');
      for (; response.status === 200; stored++)
        response = await putDocument(small, accountId, of, big(stored), '*');
      await expectProblem(small, response, 422, 'document_storage_full');
      expect(stored).toBeWithin(15, 18);
      const schema = { json: { schema: { 'x-filler': 'x'.repeat(60_000) } } };
      const kindPath = '/v1/document-kinds/another';
      await expectProblem(small, await small.call('PUT', kindPath, schema), 422, 'document_storage_full');
      expect((await small.call('DELETE', pathOf({ accountId, kind: of }))).status).toBe(204);
      // Others are not affected.
      const other = await small.as('other');
      await createDocument(other, await registerKind(other));
    } finally {
      await small.close();
    }
  });

  test('content has 64 KiB as compact JSON, however it is formatted', async () => {
    const { id } = await openAccount(atlas);
    const fitting = { name: 'x'.repeat(65_536 - '{"name":""}'.length) };
    const body = JSON.stringify({ content: fitting }, null, 60);
    const headers = { 'Content-Type': 'application/json' };
    const path = pathOf({ accountId: id, kind });
    expect((await atlas.call('PUT', path, { body, headers })).status).toBe(201);
    const larger = await putDocument(atlas, id, kind, { name: `${fitting.name}x` }, '*');
    await expectProblem(atlas, larger, 422, 'document_too_large');
  });
});
