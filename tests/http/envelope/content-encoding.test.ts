import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { type AccountResource, newKey, openAccount, readAccount } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';
import { type RawServer, serveRaw, toResponse } from '../raw-http.ts';

let atlas: TestApp;
let server: RawServer;
let bank: AccountResource;
let authorization: string;
beforeAll(async () => {
  atlas = await startTestApp();
  server = serveRaw(atlas);
  bank = await openAccount(atlas);
  authorization = `Authorization: Bearer ${await atlas.key()}`;
}, START_TIMEOUT_MS);
afterAll(async () => {
  await server.stop();
  await atlas.close();
});

const send = async (path: string, lines: readonly string[], body: string | Uint8Array, method = 'POST') => {
  const length = `Content-Length: ${Buffer.byteLength(body)}`;
  const head = [`${method} ${path} HTTP/1.1`, 'Host: atlas.test', authorization, length, ...lines];
  return toResponse(await server.send(head, body));
};
const JSON_LINES = () => ['Content-Type: application/json', `Idempotency-Key: ${newKey()}`];
const transferTo = ({ id }: AccountResource) =>
  JSON.stringify({ debitAccountId: bank.id, creditAccountId: id, amount: 5 });

describe('a body with a Content-Encoding is refused by name, whether it is encoded or not:', () => {
  test.each([
    ['gzip', gzipSync],
    ['GZIP', gzipSync],
    ['x-gzip', gzipSync],
    ['zstd', zstdCompressSync],
    ['br', brotliCompressSync],
    ['br', Buffer.from],
    ['gzip, identity', gzipSync],
    ['aws-chunked', Buffer.from],
  ] as const)('%s', async (encoding, encode) => {
    const account = await openAccount(atlas);
    const lines = [...JSON_LINES(), `Content-Encoding: ${encoding}`];
    const body = new Uint8Array(encode(Buffer.from(transferTo(account))));
    const response = await send('/v1/transfers', lines, body);
    expect(response.headers.get('accept-encoding')).toBe('identity');
    const { detail } = await expectProblem(atlas, response, 415, 'unsupported_media_type');
    expect(detail).toContain(encoding);
    expect(await readAccount(atlas, account.id)).toMatchObject({ version: 0 });
  });

  test('of a file too: nothing is stored, as nothing could say later how it was encoded', async () => {
    const lines = ['Content-Type: text/plain', 'Content-Encoding: gzip'];
    for (const path of ['/v1/files?name=encoded.txt', '/v1/files']) {
      const response = await send(path, lines, gzipSync('hello'));
      expect(response.headers.get('accept-encoding')).toBe('identity');
      await expectProblem(atlas, response, 415, 'unsupported_media_type');
    }
    expect(await (await atlas.call('GET', '/v1/files')).json()).toMatchObject({ files: [] });
  });

  test('of a file sent to an upload link', async () => {
    const bytes = 'hello';
    const sha256 = new Bun.CryptoHasher('sha256').update(bytes).digest('hex');
    const json = { name: 'a.txt', mediaType: 'text/plain', sizeBytes: bytes.length, sha256 };
    const initiated = await atlas.call('POST', '/v1/files/uploads', { json });
    const { upload } = (await initiated.json()) as {
      upload: { url: string; headers: Record<string, string> };
    };
    const lines = Object.entries(upload.headers)
      .filter(([name]) => name.toLowerCase() !== 'content-length')
      .map(([name, value]) => `${name}: ${value}`);
    const refused = await send(upload.url, [...lines, 'Content-Encoding: gzip'], gzipSync(bytes), 'PUT');
    await expectProblem(atlas, refused, 415, 'unsupported_media_type');
    expect((await send(upload.url, lines, bytes, 'PUT')).status).toBe(204);
  });
});

test.each(['identity', 'Identity', ''])('a Content-Encoding of %p means none', async (encoding) => {
  const account = await openAccount(atlas);
  const lines = [...JSON_LINES(), `Content-Encoding: ${encoding}`];
  expect((await send('/v1/transfers', lines, transferTo(account))).status).toBe(201);
});

test.each([
  'application/json;',
  'application/json ; charset = "UTF-8" ;',
  'APPLICATION/JSON;CHARSET=utf8',
  'application/json; odata=verbose',
])('a body of type %j is JSON', async (type) => {
  const account = await openAccount(atlas);
  const lines = [`Content-Type: ${type}`, `Idempotency-Key: ${newKey()}`];
  expect((await send('/v1/transfers', lines, transferTo(account))).status).toBe(201);
});
