import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { newKey } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const PATHS = ['/v1/accounts', '/v1/transfers', '/v1/transfers/batch'];
const send = (path: string, body: BodyInit | undefined, type: string | null = 'application/json') =>
  atlas.call('POST', path, {
    ...(body !== undefined && { body }),
    headers: { 'Idempotency-Key': newKey(), ...(type !== null && { 'Content-Type': type }) },
  });
const bytes = (...parts: (string | number[])[]) =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))));

describe.each(PATHS)('POST %s refuses', (path) => {
  test.each([
    ['text that is not JSON', 'hello'],
    ['truncated JSON', '{"ledger": "EUR"'],
    ['two values', '{} {}'],
    ['a single quote', "{'ledger': 'EUR'}"],
    ['a raw NUL', '{"ledger": "E\0R"}'],
    ['a byte order mark', '\uFEFF{}'],
    ['NaN', '{"amount": NaN}'],
  ])('malformed JSON: %s', async (_name, body) => {
    await expectProblem(atlas, await send(path, body), 400, 'malformed_json');
  });

  test('no body at all, and an empty one', async () => {
    await expectProblem(atlas, await send(path, undefined), 400, 'body_missing');
    await expectProblem(atlas, await send(path, ''), 400, 'body_missing');
  });

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/xml',
    'application/json; charset=utf-16',
    'application/jsonp',
    'application/problem+json',
    '',
  ])('the content type %p', async (type) => {
    const response = await send(path, new TextEncoder().encode('{}'), type === '' ? null : type);
    await expectProblem(atlas, response, 415, 'unsupported_media_type');
  });

  test.each([
    ['a list', '[]'],
    ['a text', '"EUR"'],
    ['null', 'null'],
    ['a number', '1'],
  ])('%s instead of an object', async (_name, body) => {
    await expectProblem(atlas, await send(path, body), 400, 'invalid_request', ['']);
  });

  test('a body with a Content-Length that is too large', async () => {
    const large = JSON.stringify({ name: 'x'.repeat(1_048_576) });
    await expectProblem(atlas, await send(path, large), 413, 'body_too_large');
  });

  test('a body without a Content-Length that grows too large', async () => {
    let sent = 0;
    const chunk = new Uint8Array(65_536).fill(32);
    const stream = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += chunk.byteLength;
        controller.enqueue(chunk);
      },
    });
    await expectProblem(atlas, await send(path, stream), 413, 'body_too_large');
    expect(sent).toBeLessThan(2 * 1_048_576);
  });

  test('JSON that is nested 33 levels deep, in objects, lists, or both', async () => {
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
      ['[{"a":', '}]'],
    ] as const) {
      const levels = open.length > 5 ? 17 : 33;
      const body = `{"metadata":${open.repeat(levels)}1${close.repeat(levels)}}`;
      await expectProblem(atlas, await send(path, body), 400, 'body_too_deep');
    }
  });

  test.each([
    ['a stray byte', bytes('{"name": "', [0xff], '"}')],
    ['an overlong encoding', bytes('{"name": "', [0xc0, 0xaf], '"}')],
    ['an unpaired surrogate', bytes('{"name": "', [0xed, 0xa0, 0x80], '"}')],
    ['a truncated sequence', bytes('{"name": "', [0xe2, 0x82], '"}')],
    ['Latin-1', bytes('{"name": "Zo', [0xeb], '"}')],
  ])('invalid UTF-8: %s', async (_name, body) => {
    await expectProblem(atlas, await send(path, body), 400, 'malformed_json');
  });

  test.each(['APPLICATION/JSON', 'Application/Json; charset=UTF-8'])(
    'bad UTF-8 and depth also under the content type %p',
    async (type) => {
      const bad = await send(path, bytes('{"name": "', [0xff], '"}'), type);
      await expectProblem(atlas, bad, 400, 'malformed_json');
      const deep = await send(path, '['.repeat(1_000_000), type);
      await expectProblem(atlas, deep, 400, 'body_too_deep');
    },
  );

  test('an unpaired surrogate in an escape, as a value and as a name', async () => {
    const value = await send(path, '{"metadata": {"a": "x\\ud800"}}');
    await expectProblem(atlas, value, 400, 'malformed_json', ['/metadata/a']);
    const name = await send(path, '{"metadata": {"\\udc00": "x"}}');
    await expectProblem(atlas, name, 400, 'malformed_json', ['/metadata']);
  });

  test('NUL in an escape, as a value and as a name', async () => {
    const value = await send(path, '{"reference": "a\\u0000b"}');
    await expectProblem(atlas, value, 400, 'malformed_json', ['/reference']);
    const name = await send(path, '{"metadata": {"a\\u0000": "x"}}');
    await expectProblem(atlas, name, 400, 'malformed_json', ['/metadata']);
  });

  test('a member named __proto__, plain, escaped, and nested', async () => {
    for (const body of ['{"__proto__": {"allowNegative": true}}', '{"\\u005f_proto__": {}}']) {
      await expectProblem(atlas, await send(path, body), 400, 'malformed_json', ['']);
    }
    const inside = await send(path, '{"metadata": {"__proto__": "x"}}');
    await expectProblem(atlas, inside, 400, 'malformed_json', ['/metadata']);
    expect(({} as Record<string, unknown>).allowNegative).toBeUndefined();
  });
});

test('unknown members are rejected by name at any depth', async () => {
  const account = await send('/v1/accounts', '{"ledger": "EUR", "balance": 5, "a/b~c": 1}');
  await expectProblem(atlas, account, 400, 'invalid_request', ['/balance', '/a~1b~0c']);
  const [debitAccountId, creditAccountId] = [crypto.randomUUID(), crypto.randomUUID()];
  const transfer = { debitAccountId, creditAccountId, amount: 1, flags: [] };
  const one = await send('/v1/transfers', JSON.stringify(transfer));
  await expectProblem(atlas, one, 400, 'invalid_request', ['/flags']);
  const many = await send('/v1/transfers/batch', JSON.stringify({ transfers: [transfer], dryRun: true }));
  await expectProblem(atlas, many, 400, 'invalid_request', ['/transfers/0/flags', '/dryRun']);
});

test('each mistake in an account has a pointer', async () => {
  const metadata = { ok: 'x', number: 1, long: 'x'.repeat(501) };
  const json = { id: 'one', ledger: 'eur', name: '', kind: 'rich', allowNegative: 'yes', metadata };
  const response = await send('/v1/accounts', JSON.stringify(json));
  const { errors } = await expectProblem(atlas, response, 400, 'invalid_request');
  const pointers = [
    '/id',
    '/ledger',
    '/name',
    '/kind',
    '/allowNegative',
    '/metadata/number',
    '/metadata/long',
  ];
  expect(errors!.map(({ pointer }) => pointer)).toEqual(pointers);
});

test('an unusual but valid name is stored unchanged', async () => {
  const body =
    '{"ledger": "EUR", "name": "\\u00e9 \\ud83c\\udfe6 a__proto__b", "metadata": {"constructor": "x"}}';
  const response = await send('/v1/accounts', body, 'application/json; charset="utf-8"');
  expect(response.status).toBe(201);
  expect(await response.json()).toMatchObject({ name: 'é 🏦 a__proto__b', metadata: { constructor: 'x' } });
});
