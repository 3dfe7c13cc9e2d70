import { afterAll, beforeAll, expect, test } from 'bun:test';
import { startTestApp, type TestApp } from '../support/test-app.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
});
afterAll(() => atlas.close());

test('a transfer moves money from one account to another', async () => {
  const open = async (allowNegative: boolean) =>
    (await (await atlas.call('POST', '/v1/accounts', { json: { ledger: 'EUR', allowNegative } })).json()) as {
      id: string;
    };
  const [bank, alice] = [await open(true), await open(false)];
  const response = await atlas.call('POST', '/v1/transfers', {
    json: { debitAccountId: bank.id, creditAccountId: alice.id, amount: 500 },
    headers: { 'Idempotency-Key': 'a' },
  });
  expect(response.status).toBe(201);
  const account = await (await atlas.call('GET', `/v1/accounts/${alice.id}`)).json();
  expect(account).toMatchObject({ balance: 500, creditsPosted: 500, debitsPosted: 0, version: 1 });
});
