import { expect } from 'bun:test';
import type { ApiCaller } from './api-caller.ts';
import { newKey, type TransferResource } from './ledger-steps.ts';

/** A hold as the API returns it. */
export interface HoldResource {
  readonly id: string;
  readonly debitAccountId: string;
  readonly creditAccountId: string;
  readonly amount: number;
  readonly state: string;
  readonly posted: number;
  readonly remaining: number;
  readonly metadata: Record<string, string>;
  readonly expiresAt: string;
  readonly settledAt: string | null;
  readonly createdAt: string;
}

/** Sends JSON to a route that needs an Idempotency-Key, by default a new one. */
export function postKeyed(atlas: ApiCaller, path: string, json?: object, key = newKey()): Promise<Response> {
  return atlas.call('POST', path, {
    ...(json !== undefined && { json }),
    headers: { 'Idempotency-Key': key },
  });
}

/** Creates a hold, which must succeed. */
export async function holdMoney(atlas: ApiCaller, json: object): Promise<HoldResource> {
  const response = await postKeyed(atlas, '/v1/holds', json);
  expect(response.status).toBe(201);
  return (await response.json()) as HoldResource;
}

/** Posts a hold, which must succeed. */
export async function postHold(atlas: ApiCaller, id: string, json: object = {}): Promise<TransferResource> {
  const response = await postKeyed(atlas, `/v1/holds/${id}/post`, json);
  expect(response.status).toBe(201);
  return (await response.json()) as TransferResource;
}

export async function readHold(atlas: ApiCaller, id: string): Promise<HoldResource> {
  const response = await atlas.call('GET', `/v1/holds/${id}`);
  expect(response.status).toBe(200);
  return (await response.json()) as HoldResource;
}

/** Returns the code of a refusal. */
export async function refusalOf(response: Response | Promise<Response>): Promise<string> {
  const { type = 'none' } = (await (await response).json()) as { type?: string };
  return type.replace('/problems/', '');
}
