import { expect } from 'bun:test';
import type { ApiCaller } from './api-caller.ts';

/** An entry as the API returns it. */
export interface EntryResource {
  readonly version: number;
  readonly direction: 'debit' | 'credit';
  readonly amount: number;
  readonly signedAmount: number;
  readonly balance: number;
  readonly transferId: string;
  readonly counterpartyAccountId: string;
  readonly reference: string | null;
  readonly createdAt: string;
  readonly effectiveAt: string;
}

/** A page of a statement as the API returns it. */
export interface StatementResource {
  readonly openingBalance: number;
  readonly closingBalance: number;
  readonly lastVersion: number;
  readonly from: string | null;
  readonly to: string;
  readonly entries: readonly EntryResource[];
  readonly nextCursor: string | null;
}

type Query = Readonly<Record<string, string | number | null | undefined>>;

/** Sends a GET request, and returns the JSON of its response. */
export async function readJson<T>(atlas: ApiCaller, path: string, query: Query = {}): Promise<T> {
  const response = await atlas.call('GET', `${path}${queryOf(query)}`);
  expect(response.status).toBe(200);
  return (await response.json()) as T;
}

export function queryOf(query: Query): string {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
  return given.length === 0
    ? ''
    : `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
}

/** Reads all entries of an account, page by page. */
export async function readEntries(atlas: ApiCaller, id: string, query: Query = {}): Promise<EntryResource[]> {
  const entries: EntryResource[] = [];
  let cursor: string | null = null;
  do {
    const page: { entries: EntryResource[]; nextCursor: string | null } = await readJson(
      atlas,
      `/v1/accounts/${id}/entries`,
      { ...query, cursor },
    );
    entries.push(...page.entries);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return entries;
}

/** Reads a statement, page by page. `between` runs after each page. */
export async function readStatement(
  atlas: ApiCaller,
  id: string,
  query: Query = {},
  between: () => Promise<unknown> = async () => {},
): Promise<StatementResource> {
  const path = `/v1/accounts/${id}/statement`;
  const first = await readJson<StatementResource>(atlas, path, query);
  const entries = [...first.entries];
  for (let cursor = first.nextCursor; cursor !== null; ) {
    await between();
    const page: StatementResource = await readJson(atlas, path, { ...query, cursor });
    expect(page.lastVersion).toBe(first.lastVersion);
    expect(page.openingBalance).toBe(first.openingBalance);
    entries.push(...page.entries);
    cursor = page.nextCursor;
  }
  return { ...first, entries };
}

/** Returns the lines of a statement as CSV, in columns. Its references must need no quotes. */
export async function readCsv(atlas: ApiCaller, id: string, query: Query = {}): Promise<string[][]> {
  const response = await atlas.call(
    'GET',
    `/v1/accounts/${id}/statement${queryOf({ ...query, format: 'csv' })}`,
  );
  expect(response.status).toBe(200);
  const text = await response.text();
  expect(text).toEndWith('\r\n');
  return text
    .slice(0, -2)
    .split('\r\n')
    .map((line) => line.split(','));
}
