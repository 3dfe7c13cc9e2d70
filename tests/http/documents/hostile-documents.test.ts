import { afterAll, beforeAll, expect, test } from 'bun:test';
import { DOCUMENT_VALUES_MAX } from '../../../src/features/documents/domain.ts';
import { newKind, putDocument, registerKind } from '../../support/document-steps.ts';
import { openAccount } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
let id: string;
beforeAll(async () => {
  atlas = await startTestApp();
  id = (await openAccount(atlas)).id;
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const raw = (method: string, path: string, body: string) =>
  atlas.call(method, path, { body, headers: { 'Content-Type': 'application/json' } });

test('JSON that is nested 100,000 levels deep is refused as a schema, as content, and as a search', async () => {
  const kind = await registerKind(atlas);
  const nested = `${'{"a":'.repeat(30_000)}1${'}'.repeat(30_000)}`;
  const list = '['.repeat(100_000) + ']'.repeat(100_000);
  for (const value of [nested, list])
    for (const [method, path, body] of [
      ['PUT', `/v1/document-kinds/${newKind()}`, `{"schema":{"not":${value}}}`],
      ['PUT', `/v1/accounts/${id}/documents/${kind}`, `{"content":{"a":${value}}}`],
      ['POST', '/v1/documents/search', `{"kind":"a","contains":{"a":${value}}}`],
    ] as const) {
      const response = await raw(method, path, body);
      expect([400, 413, 422]).toContain(response.status);
      await response.body?.cancel();
    }
});

test('members that would change prototypes are refused, and those that look like it are content', async () => {
  const kind = await registerKind(atlas);
  const path = `/v1/accounts/${id}/documents/${kind}`;
  const proto = await raw('PUT', path, '{"content":{"__proto__":{"polluted":true}}}');
  await expectProblem(atlas, proto, 400, 'malformed_json');
  const schema = await raw(
    'PUT',
    `/v1/document-kinds/${newKind()}`,
    '{"schema":{"properties":{"__proto__":{}}}}',
  );
  await expectProblem(atlas, schema, 400, 'malformed_json');
  const content = { constructor: { prototype: { polluted: true } }, toString: 1, hasOwnProperty: 'x' };
  expect((await putDocument(atlas, id, kind, content)).status).toBe(201);
  expect((await (await atlas.call('GET', path)).json()) as object).toMatchObject({ content });
  expect(({} as { polluted?: true }).polluted).toBeUndefined();
});

test('NUL, unpaired surrogates, and numbers that would be rounded are refused', async () => {
  const kind = await registerKind(atlas);
  const path = `/v1/accounts/${id}/documents/${kind}`;
  for (const value of ['"\\u0000"', '"\\ud800"', '1e400', '12345678901234567890']) {
    const response = await raw('PUT', path, `{"content":{"a":${value}}}`);
    expect({ value, status: response.status }).toEqual({ value, status: 400 });
  }
});

test('numbers that take much more room than they are sent with count as they are written out', async () => {
  const kind = await registerKind(atlas);
  const response = await putDocument(atlas, id, kind, { a: Array.from({ length: 300 }, () => 1e-300) });
  await expectProblem(atlas, response, 422, 'document_too_large');
  const few = { a: Array.from({ length: 200 }, () => -1.5e-300), b: [1e-7, 0.000001, 5e-324] };
  expect((await putDocument(atlas, id, kind, few)).status).toBe(201);
  const [row] = await atlas.sql<[{ size: number }]>`
    SELECT max(octet_length(content::text))::int AS size FROM document_versions`;
  expect(row.size).toBeLessThan(1.1 * 65_536);
});

test('content of more values than the index of searches should take is refused, however deep they are', async () => {
  const kind = await registerKind(atlas);
  const lists = (each: number) => ({
    a: Array.from({ length: 9 }, (_, i) => Array.from({ length: each }, () => i)),
  });
  // 1 member, 9 items, and their items.
  const response = await putDocument(atlas, id, kind, { ...lists(110), b: 1 });
  await expectProblem(atlas, response, 422, 'document_too_large');
  expect((await putDocument(atlas, id, kind, lists(110))).status).toBe(201);
});

test('an enum of 64 KiB and content of many of its values are compared', async () => {
  const values = Array.from({ length: 10_000 }, (_, n) => n);
  const kind = await registerKind(atlas, {
    properties: { a: { items: { enum: values }, uniqueItems: true } },
  });
  expect((await putDocument(atlas, id, kind, { a: values.slice(-DOCUMENT_VALUES_MAX + 1) })).status).toBe(
    201,
  );
});

test.each<[string, object, Record<string, unknown>]>([
  [
    'a pattern that goes back',
    { properties: { a: { pattern: '^(a+)+$' } } },
    { a: `${'a'.repeat(60_000)}b` },
  ],
  [
    'references that double',
    {
      $ref: '#/$defs/a0',
      $defs: Object.fromEntries(
        Array.from({ length: 90 }, (_, n) => {
          const $ref = n === 89 ? '#/$defs/a90' : `#/$defs/a${n + 1}`;
          return [`a${n}`, { allOf: [{ $ref }, { $ref }] }];
        }).concat([['a90', {} as never]]),
      ),
    },
    { a: 1 },
  ],
])(
  '%s does not hold up others: it is refused after a bounded number of steps',
  async (_, schema, content) => {
    const kind = await registerKind(atlas, schema);
    const slow = await Promise.all(Array.from({ length: 5 }, () => putDocument(atlas, id, kind, content)));
    for (const response of slow) await expectProblem(atlas, response, 422, 'document_too_complex');
    expect((await atlas.call('GET', `/v1/accounts/${id}`)).status).toBe(200);
  },
);
