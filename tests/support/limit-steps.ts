import { expect } from 'bun:test';
import type { ApiCaller } from './api-caller.ts';

/** A limit as the API returns it. */
export interface LimitResource {
  readonly id: string;
  readonly name: string;
  readonly setBy: string;
  readonly maxima: Readonly<Record<string, number | null>>;
  readonly accountIds: readonly string[] | null;
  readonly usage: {
    readonly hour: { readonly amount: number; readonly count: number; readonly resetsAt: string };
    readonly day: { readonly amount: number; readonly count: number; readonly resetsAt: string };
    readonly total: { readonly amount: number };
  };
}

/** A request for a limit of accounts of the ledger EUR. */
export function limitOf(accountIds: readonly string[] | null, maxima: object, content: object = {}): object {
  return { name: 'Payouts', ledger: 'EUR', ...(accountIds && { accountIds }), maxima, ...content };
}

/** Creates a limit, which must succeed. */
export async function createLimit(
  atlas: ApiCaller,
  json: object,
  path = '/v1/limits',
): Promise<LimitResource> {
  const response = await atlas.call('POST', path, { json });
  expect(response.status).toBe(201);
  return (await response.json()) as LimitResource;
}

export async function readLimit(atlas: ApiCaller, id: string): Promise<LimitResource> {
  const response = await atlas.call('GET', `/v1/limits/${id}`);
  expect(response.status).toBe(200);
  return (await response.json()) as LimitResource;
}

export function changeLimit(
  atlas: ApiCaller,
  id: string,
  json: object,
  headers = { 'If-Match': '*' },
): Promise<Response> {
  return atlas.call('PATCH', `/v1/limits/${id}`, { json, headers });
}
