import { expect } from 'bun:test';
import type { ApiCaller } from './api-caller.ts';
import { newKey, openAccount, readAccount } from './ledger-steps.ts';
import type { TestApp } from './test-app.ts';

/** An import as the API returns it. */
export interface ImportResource {
  readonly id: string;
  readonly state: string;
  readonly failure: string | null;
  readonly progress: number;
  readonly lines: number;
  readonly posted: number;
  readonly existed: number;
  readonly skipped: number;
  readonly refused: number;
}

/** A line of a report. */
export interface RefusedLine {
  readonly line: number;
  readonly member: string | null;
  readonly code: string;
  readonly detail: string;
}

export const toNdjson = (lines: readonly object[]) => lines.map((line) => JSON.stringify(line)).join('\n');

/** A line that posts a transfer. */
export const transferLine = (
  debitAccountId: string,
  creditAccountId: string,
  amount: number,
  more: object = {},
) => ({ type: 'transfer', debitAccountId, creditAccountId, amount, ...more });

/** Opens an account that may be negative, and one that may not. */
export async function openPair(atlas: ApiCaller): Promise<readonly [bank: string, account: string]> {
  const [bank, account] = [await openAccount(atlas), await openAccount(atlas, { allowNegative: false })];
  return [bank.id, account.id];
}

export const balanceOf = async (atlas: ApiCaller, accountId: string) =>
  (await readAccount(atlas, accountId)).balance;

export async function uploadText(atlas: ApiCaller, text: string | Uint8Array): Promise<string> {
  const headers = { 'Content-Type': 'text/plain' };
  const response = await atlas.call('POST', '/v1/files?name=lines.txt', { body: text as string, headers });
  expect(response.status).toBe(201);
  return ((await response.json()) as { id: string }).id;
}

/** Sends an import of a stored file, by default of NDJSON. */
export function postImport(
  atlas: ApiCaller,
  fileId: string,
  json: object = {},
  key = newKey(),
): Promise<Response> {
  return atlas.call('POST', '/v1/imports', {
    json: { fileId, format: 'ndjson', ...json },
    headers: { 'Idempotency-Key': key },
  });
}

export async function createImport(
  atlas: ApiCaller,
  text: string | Uint8Array,
  json: object = {},
): Promise<ImportResource> {
  const response = await postImport(atlas, await uploadText(atlas, text), json);
  expect(response.status).toBe(202);
  return (await response.json()) as ImportResource;
}

export async function readImport(atlas: ApiCaller, id: string): Promise<ImportResource> {
  const response = await atlas.call('GET', `/v1/imports/${id}`);
  expect(response.status).toBe(200);
  return (await response.json()) as ImportResource;
}

/** Runs the loop of a worker while the work runs. */
export async function whileImporting<T>(
  { loops }: Pick<TestApp, 'loops'>,
  work: () => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const running = loops.find(({ name }) => name === 'imports')!.run(stop.signal);
  try {
    return await work();
  } finally {
    stop.abort();
    await running;
  }
}

/** Waits until an import has finished. */
export async function finishImport(caller: ApiCaller, id: string): Promise<ImportResource> {
  for (;;) {
    const response = await caller.call('GET', `/v1/imports/${id}`);
    const found = (await response.json()) as ImportResource;
    // While a block is validated on a busy machine, a read may be shed.
    expect([200, 429]).toContain(response.status);
    if (response.status === 200 && !['validating', 'posting'].includes(found.state)) return found;
    await Bun.sleep(20);
  }
}

/** Imports a file as a caller, and returns the finished import. */
export async function importText(
  atlas: TestApp,
  text: string | Uint8Array,
  json: object = {},
  caller: ApiCaller = atlas,
): Promise<ImportResource> {
  const { id } = await createImport(caller, text, json);
  return whileImporting(atlas, () => finishImport(caller, id));
}

export async function reportOf(atlas: ApiCaller, id: string): Promise<RefusedLine[]> {
  const text = await (await atlas.call('GET', `/v1/imports/${id}/refusals`)).text();
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as RefusedLine);
}

/** An exported line, whatever its type. */
export type ExportedLine = Record<string, unknown> & { readonly type: string };

export async function exportLines(atlas: ApiCaller, query = ''): Promise<ExportedLine[]> {
  const response = await atlas.call('GET', `/v1/export${query}`);
  expect(response.status).toBe(200);
  return (await response.text())
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as ExportedLine);
}
