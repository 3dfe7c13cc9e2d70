import type { KeyResource, NewKeyResource } from '../../src/features/identity/keys/managed-keys.ts';
import type { TestApp } from './test-app.ts';
import { until } from './until.ts';

/** How a test calls the routes of keys: with this key, and perhaps an Idempotency-Key. */
export interface KeyCall {
  readonly token?: string;
  readonly idempotencyKey?: string;
}

const headersOf = ({ token, idempotencyKey }: KeyCall) => ({
  ...(token !== undefined && { Authorization: `Bearer ${token}` }),
  ...(idempotencyKey !== undefined && { 'Idempotency-Key': idempotencyKey }),
});

export function postKey(atlas: TestApp, json: object, call: KeyCall = {}): Promise<Response> {
  return atlas.call('POST', '/v1/api-keys', { json, headers: headersOf(call) });
}

/** Creates a key that is not refused. */
export async function createKey(
  atlas: TestApp,
  more: object = {},
  call: KeyCall = {},
): Promise<NewKeyResource> {
  const response = await postKey(atlas, { name: 'test', scopes: ['ping:read'], ...more }, call);
  const text = await response.text();
  if (response.status !== 201) throw new Error(text);
  return JSON.parse(text);
}

export function postRotation(
  atlas: TestApp,
  id: string,
  json: object,
  call: KeyCall = {},
): Promise<Response> {
  return atlas.call('POST', `/v1/api-keys/${id}/rotate`, { json, headers: headersOf(call) });
}

export function postRevocation(atlas: TestApp, id: string, call: KeyCall = {}): Promise<Response> {
  return atlas.call('POST', `/v1/api-keys/${id}/revoke`, { headers: headersOf(call) });
}

/** Lists all keys that a caller sees, page by page. */
export async function listKeys(atlas: TestApp, call: KeyCall = {}, limit = 100): Promise<KeyResource[]> {
  const keys: KeyResource[] = [];
  for (let path: string | null = `/v1/api-keys?limit=${limit}`; path !== null; ) {
    const response = await atlas.call('GET', path, { headers: headersOf(call) });
    const page = (await response.json()) as { keys: KeyResource[]; nextCursor: string | null };
    keys.push(...page.keys);
    path = page.nextCursor === null ? null : `/v1/api-keys?limit=${limit}&cursor=${page.nextCursor}`;
  }
  return keys;
}

export async function pingStatus(atlas: TestApp, token: string): Promise<number> {
  let status = 0;
  // A test that moves the clock makes the loop look late, and a request may be shed.
  await until(async () => {
    ({ status } = await atlas.call('GET', '/v1/ping', { headers: { Authorization: `Bearer ${token}` } }));
    return status !== 429 && status !== 503;
  });
  return status;
}

/** Turns the isolation of organizations on or off. Without it there are no test keys. */
export async function isolate(atlas: TestApp, isolates = true): Promise<void> {
  await atlas.sql`UPDATE transfer_id_secret SET isolates_owners = ${isolates}`;
}
