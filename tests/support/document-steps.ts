import { expect } from 'bun:test';
import type { ApiCaller } from './api-caller.ts';
import { openAccount } from './ledger-steps.ts';

/** A document as the API returns it. */
export interface DocumentResource {
  readonly accountId: string;
  readonly kind: string;
  readonly version: number;
  readonly kindVersion: number | null;
  readonly content: Record<string, unknown> | null;
  readonly sha256: string | null;
  readonly sizeBytes: number | null;
  readonly createdAt: string;
}

let kinds = 0;
/** A kind that no test of this process has used. */
export const newKind = () => `kind-${++kinds}`;

/** Registers a kind, by default for any content. Returns its name. */
export async function registerKind(
  atlas: ApiCaller,
  schema: object = { type: 'object' },
  kind = newKind(),
): Promise<string> {
  const response = await atlas.call('PUT', `/v1/document-kinds/${kind}`, {
    json: { schema },
  });
  expect({ status: response.status, text: await response.text() }).toMatchObject({ status: 201 });
  return kind;
}

/** Sends the next version of a document; `ifMatch` as it is sent. */
export function putDocument(
  atlas: ApiCaller,
  accountId: string,
  kind: string,
  content: unknown,
  ifMatch?: string,
): Promise<Response> {
  return atlas.call('PUT', `/v1/accounts/${accountId}/documents/${kind}`, {
    json: { content },
    headers: { ...(ifMatch !== undefined && { 'If-Match': ifMatch }) },
  });
}

/** Stores a document of a new account. Returns it. */
export async function createDocument(
  atlas: ApiCaller,
  kind: string,
  content: unknown = { name: 'A' },
): Promise<DocumentResource> {
  const { id } = await openAccount(atlas);
  const response = await putDocument(atlas, id, kind, content);
  expect(response.status).toBe(201);
  return (await response.json()) as DocumentResource;
}

/** Finds documents of a kind. Returns the accounts of each page. */
export async function searchAll(
  atlas: ApiCaller,
  kind: string,
  contains: object | undefined,
  limit = 200,
): Promise<string[][]> {
  const pages: string[][] = [];
  for (let cursor = ''; ; ) {
    const response = await atlas.call('POST', `/v1/documents/search?limit=${limit}${cursor}`, {
      json: { kind, contains },
    });
    expect(response.status).toBe(200);
    const page = (await response.json()) as { documents: DocumentResource[]; nextCursor: string | null };
    pages.push(page.documents.map(({ accountId }) => accountId));
    if (page.nextCursor === null) return pages;
    cursor = `&cursor=${page.nextCursor}`;
  }
}
