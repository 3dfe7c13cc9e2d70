import { afterAll, beforeAll, expect, test } from 'bun:test';
import { newKey, openAccount } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { createWebhook } from '../../support/webhook-steps.ts';
import { expectProblem } from '../problem-assertions.ts';
import { type RawServer, serveRaw, toResponse } from '../raw-http.ts';

let atlas: TestApp;
let server: RawServer;
let authorization: string;
beforeAll(async () => {
  atlas = await startTestApp({ WEBHOOKS_ALLOWED_HOSTS: '127.0.0.1' });
  server = serveRaw(atlas);
  authorization = `Authorization: Bearer ${await atlas.key()}`;
}, START_TIMEOUT_MS);
afterAll(async () => {
  await server.stop();
  await atlas.close();
});

const send = async (line: string, headers: readonly string[], body = '') => {
  const length = `Content-Length: ${Buffer.byteLength(body)}`;
  const lines = [`${line} HTTP/1.1`, 'Host: atlas.test', authorization, length, ...headers];
  return toResponse(await server.send(lines, body));
};

test('an empty header is the same as none: of an upload, a download, and a conditional request', async () => {
  const empty = ['Content-Disposition:', 'Repr-Digest:', 'Content-Digest:'];
  const upload = await send('POST /v1/files?name=a.txt', empty, 'hello');
  expect(upload.status).toBe(201);
  const { id } = (await upload.json()) as { id: string };
  const download = await send(`GET /v1/files/${id}/content`, ['Range:', 'If-Range:', 'If-None-Match:']);
  expect([download.status, await download.text()]).toEqual([200, 'hello']);
});

test('an empty If-Match or Idempotency-Key is missing', async () => {
  const { id } = await createWebhook(atlas, { url: 'http://127.0.0.1:9/' });
  const json = 'Content-Type: application/json';
  const change = await send(`PATCH /v1/webhooks/${id}`, [json, 'If-Match:'], '{"enabled":false}');
  await expectProblem(atlas, change, 428, 'precondition_required');
  const [debit, credit] = [await openAccount(atlas), await openAccount(atlas)];
  const body = JSON.stringify({ debitAccountId: debit.id, creditAccountId: credit.id, amount: 1 });
  const transfer = await send('POST /v1/transfers', [json, 'Idempotency-Key:'], body);
  await expectProblem(atlas, transfer, 400, 'invalid_request', ['/headers/Idempotency-Key']);
  expect((await send('POST /v1/transfers', [json, `Idempotency-Key: ${newKey()}`], body)).status).toBe(201);
});

test.each([
  ['UTF-8, quoted', Buffer.from('attachment; filename="résumé – 🏦.txt"')],
  ['UTF-8, as a token', Buffer.from('attachment; filename=résumé–🏦.txt')],
  [
    'RFC 8187',
    Buffer.from(
      'attachment; filename="resume.txt"; filename*=UTF-8\'\'r%C3%A9sum%C3%A9%20%E2%80%93%20%F0%9F%8F%A6.txt',
    ),
  ],
  [
    'RFC 8187 before a plain one',
    Buffer.from(
      "attachment; filename*=utf-8'en'r%C3%A9sum%C3%A9%20%E2%80%93%20%F0%9F%8F%A6.txt; filename=x.txt",
    ),
  ],
])('the file name of a Content-Disposition in %s is stored as it was meant', async (_, field) => {
  const response = await send(
    'POST /v1/files',
    [`Content-Disposition: ${field.toString('latin1')}`],
    'hello',
  );
  const { id, name } = (await response.json()) as { id: string; name: string };
  expect(name.replaceAll(' ', '')).toBe('résumé–🏦.txt');
  const disposition = (await send(`GET /v1/files/${id}/content`, [])).headers.get('content-disposition')!;
  expect(disposition).toMatch(/^attachment; filename="r_sum_[ _]+\.txt"; filename\*=UTF-8''r%C3%A9sum%C3%A9/);
});
