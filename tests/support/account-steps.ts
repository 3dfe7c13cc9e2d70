import type { ApiCaller } from './api-caller.ts';
import type { AccountResource } from './ledger-steps.ts';

/** An account as the API returns it, with what can be changed. */
export interface FullAccount extends AccountResource {
  readonly name: string | null;
  readonly parentId: string | null;
  readonly balanceMin: number | null;
  readonly balanceMax: number | null;
  readonly debitsFrozen: boolean;
  readonly creditsFrozen: boolean;
  readonly closedAt: string | null;
  readonly available: number;
}

/** Sends a change of an account, by default whatever its revision is. */
export function changeAccount(
  atlas: ApiCaller,
  id: string,
  json: object,
  ifMatch: string | null = '*',
): Promise<Response> {
  const headers = ifMatch === null ? {} : { 'If-Match': ifMatch };
  return atlas.call('PATCH', `/v1/accounts/${id}`, { json, headers });
}

/** Closes an account, or opens it again. */
export function setClosed(
  atlas: ApiCaller,
  id: string,
  verb: 'close' | 'reopen',
  headers: Record<string, string> = {},
): Promise<Response> {
  return atlas.call('POST', `/v1/accounts/${id}/${verb}`, { headers });
}

/** Saves a template of accounts, which by default must not exist. */
export function saveTemplate(
  atlas: ApiCaller,
  name: string,
  json: object,
  headers: Record<string, string> = {},
): Promise<Response> {
  return atlas.call('PUT', `/v1/account-templates/${name}`, { json, headers });
}
