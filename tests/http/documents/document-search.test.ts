import { afterAll, beforeAll, expect, test } from 'bun:test';
import { createDocument, putDocument, registerKind, searchAll } from '../../support/document-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const search = (json: unknown, query = '') => atlas.call('POST', `/v1/documents/search${query}`, { json });

test('finds documents whose newest version contains what is looked for, ordered by account', async () => {
  const kind = await registerKind(atlas);
  const alice = await createDocument(atlas, kind, { country: 'DE', tags: ['a', 'b'], address: { zip: '1' } });
  const bob = await createDocument(atlas, kind, { country: 'DE', tags: ['b'] });
  await createDocument(atlas, kind, { country: 'FR' });
  const both = [alice.accountId, bob.accountId].sort();
  expect(await searchAll(atlas, kind, { country: 'DE' })).toEqual([both]);
  expect(await searchAll(atlas, kind, { tags: ['a'] })).toEqual([[alice.accountId]]);
  expect(await searchAll(atlas, kind, { country: 'DE', address: { zip: '1' } })).toEqual([[alice.accountId]]);
  expect(await searchAll(atlas, kind, { country: ['DE'] })).toEqual([[]]);
  expect(await searchAll(atlas, kind, { country: 'DE' }, 1)).toEqual(both.map((id) => [id]));
  expect((await searchAll(atlas, kind, undefined)).flat()).toHaveLength(3);
  await putDocument(atlas, alice.accountId, kind, { country: 'FR' }, '"1"');
  await atlas.call('DELETE', `/v1/accounts/${bob.accountId}/documents/${kind}`);
  expect(await searchAll(atlas, kind, { country: 'DE' })).toEqual([[]]);
  expect((await searchAll(atlas, kind, undefined)).flat()).toHaveLength(2);
});

test('examines a bounded number of documents for a page, and still finds all of very many', async () => {
  const kind = await registerKind(atlas);
  await createDocument(atlas, kind, { n: 0, rare: true, common: 1 });
  const insert = (count: number, content: string) => atlas.sql`
    WITH accounts AS (
      INSERT INTO accounts (id, owner, ledger, allow_negative, metadata)
      SELECT gen_random_uuid(), 'owner', 'EUR', true, '{}' FROM generate_series(1, ${count}::int) RETURNING id
    ), created AS (
      INSERT INTO documents (id, account_id, kind, owner, version, bytes, searched)
      SELECT overlay(gen_random_uuid()::text PLACING '8a71-a505' FROM 15)::uuid, id, ${kind}, 'owner', 1, 1100,
        jsonb_build_object((SELECT searched_as || '/' || ${kind}::text FROM document_usage WHERE owner = 'owner'),
          ${content}::text::jsonb) FROM accounts RETURNING id
    ) INSERT INTO document_versions (document_id, version, content, sha256, size_bytes, kind_version, kind_owner)
      SELECT id, 1, ${content}::text::jsonb, sha256('x'), 2, 1, 'owner' FROM created`;
  await insert(700, '{"common": 1}');
  await insert(900, '{"other": 1}');
  const pages = await searchAll(atlas, kind, { common: 1 }, 200);
  expect(pages.flat()).toHaveLength(701);
  expect(pages.flat()).toEqual(pages.flat().toSorted());
  expect(new Set(pages.flat()).size).toBe(701);
  expect((await searchAll(atlas, kind, { rare: true })).flat()).toHaveLength(1);
  // What nearly all documents contain, and what only the last ones contain.
  expect((await searchAll(atlas, kind, { other: 1 }, 7)).flat()).toHaveLength(900);
});

test('a page ends at 1 MiB, and leads to the next', async () => {
  const kind = await registerKind(atlas);
  const text = 'x'.repeat(60_000);
  for (let n = 0; n < 20; n++) await createDocument(atlas, kind, { text, big: 1 });
  const pages = await searchAll(atlas, kind, { big: 1 });
  expect(pages.length).toBe(2);
  expect(new Set(pages.flat()).size).toBe(20);
});

test('what no index can find is refused', async () => {
  for (const contains of [{}, { a: {} }, { a: [[], {}] }])
    await expectProblem(atlas, await search({ kind: 'a', contains }), 400, 'invalid_request', ['/contains']);
  const many = { a: Array.from({ length: 21 }, (_, n) => n) };
  await expectProblem(atlas, await search({ kind: 'a', contains: many }), 400, 'invalid_request', [
    '/contains',
  ]);
  const long = { a: 'x'.repeat(4096) };
  await expectProblem(atlas, await search({ kind: 'a', contains: long }), 400, 'invalid_request', [
    '/contains',
  ]);
  await expectProblem(atlas, await search({ kind: 'a' }, '?cursor=x'), 400, 'invalid_request', [
    '/query/cursor',
  ]);
});
