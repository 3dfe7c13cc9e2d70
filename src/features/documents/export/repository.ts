import type { Queryable } from '../../../adapters/postgres/query.ts';

/** Reads the documents of an owner for an export. `tx` is a snapshot. */
export interface DocumentExport {
  /** Every version of every kind, oldest first. */
  kinds(tx: Queryable, owner: string): AsyncGenerator<readonly object[], void, undefined>;
  /** The newest version of every document. */
  documents(tx: Queryable, owner: string): AsyncGenerator<readonly object[], void, undefined>;
}

// A document has up to 64 KiB.
const PAGE_ROWS = 50;

export function createDocumentExport(): DocumentExport {
  return {
    async *kinds(tx, owner) {
      for (let after = { kind: '', version: 0 }; ; ) {
        const rows = await tx.query(
          (sql) => sql<{ kind: string; version: number; title: string | null; schema: object }[]>`
            SELECT kind, version, title, schema FROM document_kinds
            WHERE owner = ${owner} AND (kind, version) > (${after.kind}, ${after.version})
            ORDER BY kind, version LIMIT ${PAGE_ROWS}`,
        );
        yield rows.map((row) => ({ type: 'documentKind', ...row }));
        if (rows.length < PAGE_ROWS) return;
        after = rows.at(-1)!;
      }
    },
    async *documents(tx, owner) {
      for (let after = { kind: '', accountId: '00000000-0000-0000-0000-000000000000' }; ; ) {
        const rows = await tx.query(
          (sql) => sql<{ kind: string; accountId: string; version: number; content: object }[]>`
            SELECT d.kind, d.account_id, d.version, v.content FROM documents d
            JOIN document_versions v ON v.document_id = d.id AND v.version = d.version
            WHERE d.owner = ${owner} AND d.searched IS NOT NULL
              AND (d.kind, d.account_id) > (${after.kind}, ${after.accountId}::uuid)
            ORDER BY d.kind, d.account_id LIMIT ${PAGE_ROWS}`,
        );
        yield rows.map(({ kind, accountId, version, content }) => ({
          type: 'document',
          accountId,
          kind,
          version,
          content,
        }));
        if (rows.length < PAGE_ROWS) return;
        after = rows.at(-1)!;
      }
    },
  };
}
