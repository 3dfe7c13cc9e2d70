import { expect } from 'bun:test';
import type { TestApp } from './test-app.ts';

/** An account as the API returns it. */
export interface AccountResource {
  readonly id: string;
  readonly ledger: string;
  readonly balance: number;
  readonly debitsPosted: number;
  readonly creditsPosted: number;
  readonly version: number;
  readonly metadata: Record<string, string>;
}

/** A transfer as the API returns it. */
export interface TransferResource {
  readonly id: string;
  readonly debitAccountId: string;
  readonly creditAccountId: string;
  readonly amount: number;
  readonly createdAt: string;
}

let keys = 0;
/** An Idempotency-Key that no test of this process has used. */
export const newKey = () => `key-${++keys}`;

/** Opens an account that may go below zero by default, and returns it. */
export async function openAccount(atlas: TestApp, content: object = {}): Promise<AccountResource> {
  const json = { ledger: 'EUR', allowNegative: true, ...content };
  const response = await atlas.call('POST', '/v1/accounts', { json });
  expect(response.status).toBe(201);
  return (await response.json()) as AccountResource;
}

/** Opens an account that must stay at zero or above, with money on it. */
export async function openFundedAccount(
  atlas: TestApp,
  bank: AccountResource,
  amount: number,
): Promise<AccountResource> {
  const account = await openAccount(atlas, { allowNegative: false });
  const funded = await postTransfer(atlas, {
    debitAccountId: bank.id,
    creditAccountId: account.id,
    amount,
  });
  expect(funded.status).toBe(201);
  return account;
}

/** Posts the body as a transfer, with a new key by default. */
export function postTransfer(
  atlas: TestApp,
  json: unknown,
  key = newKey(),
  headers: Record<string, string> = {},
): Promise<Response> {
  return atlas.call('POST', '/v1/transfers', { json, headers: { 'Idempotency-Key': key, ...headers } });
}

/** Posts the body as a batch, with a new key by default. */
export function postBatch(atlas: TestApp, json: unknown, key = newKey()): Promise<Response> {
  return atlas.call('POST', '/v1/transfers/batch', { json, headers: { 'Idempotency-Key': key } });
}

export async function readAccount(atlas: TestApp, id: string): Promise<AccountResource> {
  const response = await atlas.call('GET', `/v1/accounts/${id}`);
  expect(response.status).toBe(200);
  return (await response.json()) as AccountResource;
}

/** Sends a request without any API key. */
export function callWithoutKey(
  atlas: TestApp,
  method: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<Response> {
  const request = new Request(`http://atlas.test${path}`, {
    method,
    headers: { Host: 'atlas.test', ...headers },
  });
  return Promise.resolve(atlas.fetch(request));
}
