import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { isPersonalScope } from '../../../src/features/identity/scope-kinds.ts';
import { type AccountResource, newKey, openAccount, readAccount } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { bearer, createUser } from '../../support/user-steps.ts';
import { createWebhook } from '../../support/webhook-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
let [bank, account]: AccountResource[] = [];
beforeAll(async () => {
  atlas = await startTestApp({ WEBHOOKS_ALLOWED_HOSTS: '127.0.0.1' });
  [bank, account] = [await openAccount(atlas), await openAccount(atlas)];
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const send = (method: string, path: string, body: string, headers: Record<string, string> = {}) =>
  atlas.call(method, path, {
    body,
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': newKey(), ...headers },
  });
const transferOf = (amount: string, more = '') =>
  `{"debitAccountId":"${bank!.id}","creditAccountId":"${account!.id}","amount":${amount}${more}}`;

interface DocumentedOperation {
  readonly requestBody?: { readonly content: object };
  readonly security: readonly { readonly apiKey?: readonly string[] }[];
}

describe('an amount that is not exactly a whole number is refused, and nothing is posted:', () => {
  test.each([
    '99.99999999999999999',
    '0.99999999999999999999',
    '1.0000000000000000000001',
    '9007199254740993',
    '9007199254740990.6',
    '1e-400',
    '1e400',
    '1.5',
    '0.1',
  ])('%s', async (amount) => {
    const one = await send('POST', '/v1/transfers', transferOf(amount));
    await expectProblem(atlas, one, 400, 'invalid_request', ['/amount']);
    const batch = `{"transfers":[${transferOf('1')},${transferOf(amount)}]}`;
    const many = await send('POST', '/v1/transfers/batch', batch);
    await expectProblem(atlas, many, 400, 'invalid_request', ['/transfers/1/amount']);
    expect(await readAccount(atlas, account!.id)).toMatchObject({ balance: 0, version: 0 });
  });
});

test.each(['1250', '1250.0', '1.25e3', '125000e-2', '1250.000000000000000000000'])(
  'an amount of %s is the whole number 1250',
  async (amount) => {
    const response = await send('POST', '/v1/transfers', transferOf(amount));
    expect([response.status, ((await response.json()) as { amount: number }).amount]).toEqual([201, 1250]);
  },
);

test('a repeated member is refused by name, and nothing is posted', async () => {
  const before = await readAccount(atlas, account!.id);
  for (const more of [',"amount":2', ',"amount":1', ',"\\u0061mount":2']) {
    const response = await send('POST', '/v1/transfers', transferOf('1', more));
    await expectProblem(atlas, response, 400, 'invalid_request', ['/amount']);
  }
  const metadata = ',"metadata":{"order":"1","\\u006frder":"2"}';
  const inside = await send('POST', '/v1/transfers', transferOf('1', metadata));
  await expectProblem(atlas, inside, 400, 'invalid_request', ['/metadata/order']);
  expect(await readAccount(atlas, account!.id)).toEqual(before);
});

test('every JSON body is read as it is written: repeated members and rounded numbers are refused in all', async () => {
  const webhook = await createWebhook(atlas, { url: 'http://127.0.0.1:9/' });
  const pathOf = (pattern: string) => pattern.replaceAll(/\{\w+\}/g, webhook.id);
  const { paths } = atlas.openApi() as {
    paths: Record<string, Record<string, DocumentedOperation>>;
  };
  const { token } = await createUser(atlas, { organization: 'owner' });
  const withJson = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations)
      .filter(([, { requestBody }]) => requestBody && 'application/json' in requestBody.content)
      .map(([method, { security }]) => ({
        method: method.toUpperCase(),
        path: pathOf(path),
        isPersonal: security.some(({ apiKey = [] }) => apiKey.some(isPersonalScope)),
      })),
  );
  expect(withJson.length).toBeGreaterThanOrEqual(7);
  for (const { method, path, isPersonal } of withJson) {
    const headers = { 'If-Match': '*', ...(isPersonal && bearer(token)) };
    const repeated = await send(method, path, '{"a":{"b":[{"c":1,"c":1}]}}', headers);
    await expectProblem(atlas, repeated, 400, 'invalid_request', ['/a/b/0/c']);
    const rounded = await send(method, path, '{"a":[0.99999999999999999999]}', headers);
    await expectProblem(atlas, rounded, 400, 'invalid_request', ['/a/0']);
    const large = await send(method, path, '{"a/b":-1e400}', headers);
    await expectProblem(atlas, large, 400, 'invalid_request', ['/a~1b']);
    const crowded = `{${Array.from({ length: 101 }, (_, i) => `"m${i}":1`).join(',')}}`;
    const many = await send(method, path, crowded, headers);
    await expectProblem(atlas, many, 400, 'invalid_request', ['/m100']);
  }
});

test('JSON that is not valid is malformed, whatever else is wrong with it', async () => {
  for (const body of ['{"amount":1,"amount":2', '{"a":1e999,}', '[0.99999999999999999999 1]']) {
    await expectProblem(atlas, await send('POST', '/v1/transfers', body), 400, 'malformed_json');
  }
});
