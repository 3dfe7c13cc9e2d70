import { auditFragment } from '../../../adapters/postgres/audit.ts';
import type { Database } from '../../../adapters/postgres/database.ts';
import { rowsWithin, type SizedRow, takePage } from '../../../adapters/postgres/page-of-bytes.ts';
import type { Fragment } from '../../../adapters/postgres/query.ts';
import { AtlasError } from '../../../errors.ts';
import type { Actor } from '../../../utils/actor.ts';
import type { Turns } from '../../../utils/turns.ts';
import {
  DOCUMENTS_PER_ACCOUNT_MAX,
  type Document,
  type DocumentSummary,
  type DocumentVersion,
  type Replaces,
  VERSIONS_MAX,
} from '../domain.ts';

/** Which document of which owner's account. */
export interface DocumentPath {
  readonly owner: string;
  readonly accountId: string;
  readonly kind: string;
}

/** The content of a new version, and what it was validated with. */
export interface NewContent {
  readonly content: object;
  readonly sha256: Uint8Array;
  readonly sizeBytes: number;
  readonly kindVersion: number;
}

/** What to look for: all documents of a kind, unless their content must contain something. */
export interface DocumentSearch {
  readonly owner: string;
  readonly kind: string;
  readonly contains: object | null;
}

/** What became of a write. All but the first four are why nothing was written. */
export type DocumentOutcome =
  | 'created'
  | 'changed'
  | 'deleted'
  | 'unchanged'
  | 'kind_changed'
  | 'account_not_found'
  | 'document_not_found'
  | 'precondition_required'
  | 'precondition_failed'
  | 'too_many_documents'
  | 'too_many_document_versions'
  | 'document_storage_full';

/** Documents in PostgreSQL. Every method is limited to the accounts of one owner. */
export interface DocumentRepository {
  /** Writes the next version with its event and audit entry. `id` is for a new document; null content deletes. */
  write(
    path: DocumentPath,
    id: string,
    content: NewContent | null,
    replaces: Replaces,
    actor: Actor,
    signal?: AbortSignal,
  ): Promise<{ outcome: DocumentOutcome; version: number; createdAt: string }>;
  /** Returns a version, or the newest unless it was deleted, or why there is none. */
  find(
    path: DocumentPath,
    version: number | null,
    signal?: AbortSignal,
  ): Promise<Document | 'account_not_found' | 'document_not_found'>;
  /** Lists the documents of an account that are not deleted. Returns null if the owner has no such account. */
  ofAccount(owner: string, accountId: string, signal?: AbortSignal): Promise<DocumentSummary[] | null>;
  /** Lists versions, newest first, before one. Returns null if the owner has no such account. */
  versions(
    path: DocumentPath,
    before: number | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<DocumentVersion[] | null>;
  /**
   * Lists documents of a kind by account: all, or what contains something. A page also ends at `PAGE_BYTES_MAX`. Throws
   * `deadline_exceeded` after some seconds.
   */
  search(
    search: DocumentSearch,
    after: string | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<{ documents: Document[]; next: string | null }>;
}

interface VersionRow extends Omit<DocumentVersion, 'createdAt'> {
  readonly createdAt: Date;
}

type DocumentRow = Omit<Document, 'createdAt'> & VersionRow;

// About what a document has in a page besides its content.
const DOCUMENT_BYTES = 400;
// How many documents a search compares at most for a page, each of up to 64 KiB.
const EXAMINED_MAX = 200;
// How long a search may use the index, and how long it may take without it.
const INDEX_TIMEOUT_MS = 500;
const EXAMINE_TIMEOUT_MS = 1000;

export function createDocumentRepository(db: Database, bytesMax: number, turns: Turns): DocumentRepository {
  const version = db.fragment`
    v.version, v.kind_version, encode(v.sha256, 'hex') AS sha256, v.size_bytes, v.created_at`;
  return {
    write: createWriting(db, bytesMax, turns),
    ...createReading(db, version),
    search: createSearch(db),
  };
}

function createSearch(db: Database): DocumentRepository['search'] {
  const read = async (
    { owner, kind, contains }: DocumentSearch,
    after: string | null,
    limit: number,
    usesIndex: boolean,
    signal?: AbortSignal,
  ) => {
    const rows = await db.snapshot(
      (tx) =>
        tx.query(
          (sql) => sql<(DocumentRow & SizedRow & { matches: boolean; hasMore: boolean })[]>`
          SELECT account_id, ${kind}::text AS kind, version, kind_version, sha256, content_bytes AS size_bytes,
            created_at, content, matches, has_more, bytes_so_far
          FROM (${rowsWithin(sql, {
            source: sql`
              SELECT f.account_id, f.matches, f.has_more, v.version, v.kind_version, encode(v.sha256, 'hex') AS sha256,
                v.size_bytes AS content_bytes, v.created_at, CASE WHEN f.matches THEN v.content END AS content
              FROM find_documents(${owner}, ${kind}, ${contains === null ? null : sql.json(contains as never)},
                ${after}, ${limit + 1}, ${EXAMINED_MAX}, ${usesIndex}) f
              JOIN documents d ON d.id = f.document_id
              JOIN document_versions v ON v.document_id = d.id AND v.version = d.version`,
            order: sql`account_id`,
            document: sql`content`,
            otherBytes: DOCUMENT_BYTES,
          })}) page ORDER BY nth`,
        ),
      { signal, statementTimeoutMs: usesIndex ? INDEX_TIMEOUT_MS : EXAMINE_TIMEOUT_MS },
    );
    const { page, hasMore } = takePage(rows, limit);
    const last = page.at(-1);
    const documents = page
      .filter(({ matches }) => matches)
      .map(({ bytesSoFar: _, matches: __, hasMore: ___, ...row }) => toDated(row));
    return { documents, next: last && (hasMore || last.hasMore) ? last.accountId : null };
  };
  return async (search, after, limit, signal) => {
    if (search.contains === null) return read(search, after, limit, false, signal);
    try {
      return await read(search, after, limit, true, signal);
    } catch (error) {
      // The index found too much that does not match.
      const isLate = error instanceof AtlasError && error.code === 'deadline_exceeded';
      if (!isLate || signal?.aborted) throw error;
      return read(search, after, limit, false, signal);
    }
  };
}

function createWriting(db: Database, bytesMax: number, turns: Turns): DocumentRepository['write'] {
  const isWritten = db.fragment`outcome IN ('created', 'changed', 'deleted')`;
  return async ({ owner, accountId, kind }, id, content, replaces, actor, signal) => {
    const expected = typeof replaces === 'string' ? null : [...replaces];
    const { sha256 = null, sizeBytes = null, kindVersion = null } = content ?? {};
    const digest = sha256 === null ? null : Buffer.from(sha256);
    // Never the content: entries stay for good.
    const audited = (outcome: DocumentOutcome, did: string) =>
      auditFragment(
        db.fragment,
        actor,
        ['document', did],
        db.fragment`
          SELECT ${owner}, id, NULL::jsonb, jsonb_strip_nulls(jsonb_build_object('accountId', ${accountId}::text,
            'kind', ${kind}::text, 'version', version, 'kindVersion', ${kindVersion}::int,
            'sha256', ${digest?.toString('hex') ?? null}::text)) FROM written WHERE outcome = ${outcome}`,
      );
    // Writes of an owner lock the same row.
    const write = () =>
      db.query(
        (sql) => sql<[{ outcome: DocumentOutcome; version: number; createdAt: Date | null }]>`
        WITH written AS (
          SELECT * FROM write_document(${owner}, ${accountId}, ${kind}, ${id}, ${expected}::bigint[],
            ${replaces === 'any'}, ${kindVersion}, ${content === null ? null : sql.json(content.content as never)},
            ${digest}, ${sizeBytes},
            ${DOCUMENTS_PER_ACCOUNT_MAX}, ${VERSIONS_MAX}, ${bytesMax})
        ), event AS (
          INSERT INTO outbox (owner, type, key, sequence, occurred_at, data)
          SELECT ${owner}, 'document.changed.v1', id::text, version, created_at, jsonb_build_object(
            'accountId', ${accountId}::text, 'kind', ${kind}::text, 'version', version, 'deleted', outcome = 'deleted')
          FROM written WHERE ${isWritten}
        ), created AS (${audited('created', 'created')}), changed AS (${audited('changed', 'updated')}),
        deleted AS (${audited('deleted', 'deleted')})
        SELECT outcome, version, created_at FROM written`,
        { signal },
      );
    const [row] = await turns.run(owner, write, signal);
    return { ...row, createdAt: row.createdAt?.toISOString() ?? '' };
  };
}

function createReading(
  db: Database,
  version: Fragment,
): Pick<DocumentRepository, 'find' | 'ofAccount' | 'versions'> {
  return {
    async find({ owner, accountId, kind }, wanted, signal) {
      const [row] = await db.query(
        (sql) => sql<(DocumentRow & { isThere: boolean })[]>`
          SELECT a.id AS account_id, ${kind}::text AS kind, ${version}, v.content,
            v.version IS NOT NULL AND (v.content IS NOT NULL OR ${wanted}::int IS NOT NULL) AS is_there
          FROM accounts a LEFT JOIN documents d ON d.account_id = a.id AND d.kind = ${kind}
          LEFT JOIN document_versions v ON v.document_id = d.id AND v.version = coalesce(${wanted}::int, d.version)
          WHERE a.id = ${accountId} AND a.owner = ${owner}`,
        { signal },
      );
      if (!row) return 'account_not_found';
      const { isThere, ...found } = row;
      return isThere ? toDated(found) : 'document_not_found';
    },
    async ofAccount(owner, accountId, signal) {
      const rows = await db.query(
        (sql) => sql<(Omit<DocumentRow, 'content' | 'kind'> & { kind: string | null })[]>`
          SELECT a.id AS account_id, d.kind, ${version}
          FROM accounts a LEFT JOIN documents d ON d.account_id = a.id AND d.searched IS NOT NULL
          LEFT JOIN document_versions v ON v.document_id = d.id AND v.version = d.version
          WHERE a.id = ${accountId} AND a.owner = ${owner} ORDER BY d.kind`,
        { signal },
      );
      if (rows.length === 0) return null;
      return rows.flatMap(({ kind, ...row }) => (kind === null ? [] : [{ ...toDated(row), kind }]));
    },
    async versions({ owner, accountId, kind }, before, limit, signal) {
      const rows = await db.query(
        (sql) => sql<(Omit<VersionRow, 'version'> & { version: number | null })[]>`
          SELECT ${version} FROM accounts a
          LEFT JOIN documents d ON d.account_id = a.id AND d.kind = ${kind}
          LEFT JOIN document_versions v ON v.document_id = d.id
            ${before === null ? sql`` : sql`AND v.version < ${before}`}
          WHERE a.id = ${accountId} AND a.owner = ${owner} ORDER BY v.version DESC LIMIT ${limit}`,
        { signal },
      );
      if (rows.length === 0) return null;
      return rows.flatMap(({ version: number, ...row }) =>
        number === null ? [] : [{ version: number, ...toDated(row) }],
      );
    },
  };
}

function toDated<T extends { readonly createdAt: Date }>(
  row: T,
): Omit<T, 'createdAt'> & { createdAt: string } {
  return { ...row, createdAt: row.createdAt?.toISOString() };
}
