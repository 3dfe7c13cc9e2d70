import { expect } from 'bun:test';
import type { ApiCaller } from './api-caller.ts';

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

/** Opens an account, which may go below zero unless `content` says otherwise. */
export async function openAccount(atlas: ApiCaller, content: object = {}): Promise<AccountResource> {
  const json = { ledger: 'EUR', allowNegative: true, ...content };
  const response = await atlas.call('POST', '/v1/accounts', { json });
  expect(response.status).toBe(201);
  return (await response.json()) as AccountResource;
}

/** Opens an account that must not go below zero, and funds it. */
export async function openFundedAccount(
  atlas: ApiCaller,
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

/** Posts any JSON as a transfer, by default under a new Idempotency-Key. */
export function postTransfer(
  atlas: ApiCaller,
  json: unknown,
  key = newKey(),
  headers: Record<string, string> = {},
): Promise<Response> {
  return atlas.call('POST', '/v1/transfers', { json, headers: { 'Idempotency-Key': key, ...headers } });
}

/** Posts any JSON as a batch of transfers, by default under a new Idempotency-Key. */
export function postBatch(atlas: ApiCaller, json: unknown, key = newKey()): Promise<Response> {
  return atlas.call('POST', '/v1/transfers/batch', { json, headers: { 'Idempotency-Key': key } });
}

export async function readAccount(atlas: ApiCaller, id: string): Promise<AccountResource> {
  const response = await atlas.call('GET', `/v1/accounts/${id}`);
  expect(response.status).toBe(200);
  return (await response.json()) as AccountResource;
}
