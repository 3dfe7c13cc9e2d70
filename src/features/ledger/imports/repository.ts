import { auditFragment } from '../../../adapters/postgres/audit.ts';
import type { Database } from '../../../adapters/postgres/database.ts';
import type { Actor } from '../../../utils/actor.ts';
import type { Tx } from '../../idempotency.ts';
import {
  type IdMode,
  type Import,
  type ImportFormat,
  type RefusedLine,
  UNFINISHED_MAX,
  UNFINISHED_PER_OWNER_MAX,
} from '../import.ts';
import { finishedEvent, type ImportRow, importColumns, toImport } from '../import-row.ts';

/** An import that is to be created. */
export interface NewImport {
  readonly id: string;
  readonly owner: string;
  readonly fileId: string | null;
  readonly fileName: string;
  /** Hexadecimal. */
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly format: ImportFormat;
  readonly ids: IdMode;
  readonly dryRun: boolean;
  readonly hasDocuments: boolean;
}

/** Imports in PostgreSQL, as callers see them. Throws like `Database.query`. */
export interface ImportRepository {
  /** Returns null if the owner, or the whole database, has as many unfinished ones as it may. */
  create(created: NewImport, actor: Actor, tx?: Tx): Promise<Import | null>;
  /** Creates one that has done nothing, for the demo data, unless it exists. */
  createFinished(
    demo: Pick<Import, 'id' | 'owner' | 'fileId' | 'fileName'> & { readonly state: 'done' | 'canceled' },
  ): Promise<void>;
  unfinished(owner: string): Promise<number>;
  find(owner: string, id: string, signal?: AbortSignal): Promise<Import | null>;
  /** Newest first. */
  list(owner: string, before: string | null, limit: number, signal?: AbortSignal): Promise<Import[]>;
  /** A worker that has it stops soon. Returns null if the owner has no unfinished import with this ID. */
  cancel(owner: string, id: string, actor: Actor, signal?: AbortSignal): Promise<Import | null>;
  /** Refused lines after one, in order. */
  refused(id: string, after: number, limit: number, signal?: AbortSignal): Promise<RefusedLine[]>;
  /** Deletes finished imports of more than so many days, and of each owner all but the newest. Returns how many. */
  forget(days: number, perOwnerMax: number): Promise<number>;
  running(): Promise<number>;
}

const FORGET_MAX = 100;

export function createImportRepository(db: Database): ImportRepository {
  const columns = importColumns(db.fragment);
  return {
    async create(created, actor, tx) {
      const { id, owner, fileId, fileName, sha256, sizeBytes, format, ids, dryRun, hasDocuments } = created;
      const [row] = await db.query(
        (sql) => sql<ImportRow[]>`
          WITH created AS (
            INSERT INTO imports (id, owner, file_id, file_name, sha256, size_bytes, format, ids, is_dry_run,
              has_documents, actor, state)
            SELECT ${id}, ${owner}, ${fileId}, ${fileName}, ${Buffer.from(sha256, 'hex')}, ${sizeBytes}, ${format},
              ${ids}, ${dryRun}, ${hasDocuments}, ${JSON.stringify(actor)}::text::jsonb, 'validating'
            WHERE (SELECT count(*) FROM imports WHERE finished_at IS NULL) < ${UNFINISHED_MAX}
              AND (SELECT count(*) FROM imports WHERE finished_at IS NULL AND owner = ${owner})
                < ${UNFINISHED_PER_OWNER_MAX}
            ON CONFLICT (owner) WHERE finished_at IS NULL AND file_id IS NULL DO NOTHING RETURNING *
          ), audited AS (${auditFragment(
            db.fragment,
            actor,
            ['import', 'created'],
            db.fragment`SELECT owner, id, NULL::jsonb, jsonb_build_object('fileId', file_id, 'fileName', file_name,
              'sha256', encode(sha256, 'hex'), 'format', format, 'ids', ids, 'dryRun', is_dry_run) FROM created`,
          )})
          SELECT ${columns} FROM created`,
        { tx },
      );
      return row ? toImport(row) : null;
    },
    async createFinished({ id, owner, fileId, fileName, state }) {
      await db.query(
        (sql) => sql`
          INSERT INTO imports (id, owner, file_id, file_name, sha256, size_bytes, format, ids, is_dry_run,
            has_documents, actor, state, finished_at)
          VALUES (${id}, ${owner}, ${fileId}, ${fileName}, sha256(''), 1, 'csv', 'keep', true, false, '{}', ${state},
            clock_timestamp())
          ON CONFLICT DO NOTHING`,
      );
    },
    async unfinished(owner) {
      const [row] = await db.query(
        (sql) => sql<[{ count: number }]>`
          SELECT count(*) AS count FROM imports WHERE owner = ${owner} AND finished_at IS NULL`,
      );
      return row.count;
    },
    async find(owner, id, signal) {
      const [row] = await db.query(
        (sql) => sql<ImportRow[]>`SELECT ${columns} FROM imports WHERE id = ${id} AND owner = ${owner}`,
        { signal },
      );
      return row ? toImport(row) : null;
    },
    async list(owner, before, limit, signal) {
      const rows = await db.query(
        (sql) => sql<ImportRow[]>`
          SELECT ${columns} FROM imports WHERE owner = ${owner} ${before === null ? sql`` : sql`AND id < ${before}`}
          ORDER BY id DESC LIMIT ${limit}`,
        { signal },
      );
      return rows.map(toImport);
    },
    async cancel(owner, id, actor, signal) {
      // A worker that has it finishes it, with the counts of all that was posted.
      const [row] = await db.query(
        (sql) => sql<ImportRow[]>`
          WITH former AS (
            SELECT id, cancels, EXISTS (SELECT FROM incarnations i
              WHERE i.id = holder AND i.expires_at > clock_timestamp()) AS is_held
            FROM imports WHERE id = ${id} AND owner = ${owner} AND finished_at IS NULL FOR UPDATE
          ), changed AS (
            UPDATE imports i SET cancels = true, state = CASE WHEN is_held THEN state ELSE 'canceled' END,
              finished_at = CASE WHEN is_held THEN NULL ELSE clock_timestamp() END, token = token + (NOT is_held)::int
            FROM former WHERE i.id = former.id RETURNING i.*, former.cancels AS was_canceled
          ), finished AS (SELECT * FROM changed WHERE finished_at IS NOT NULL),
          ${finishedEvent(db.fragment)}, audited AS (${auditFragment(
            db.fragment,
            actor,
            ['import', 'canceled'],
            db.fragment`SELECT owner, id, NULL::jsonb, NULL::jsonb FROM changed WHERE NOT was_canceled`,
          )})
          SELECT ${columns} FROM changed`,
        { signal },
      );
      return row ? toImport(row) : null;
    },
    async refused(id, after, limit, signal) {
      const rows = await db.query(
        (sql) => sql<RefusedLine[]>`
          SELECT line, member, code, detail FROM import_refusals WHERE import_id = ${id} AND line > ${after}
          ORDER BY line LIMIT ${limit}`,
        { signal },
      );
      return [...rows];
    },
    async forget(days, perOwnerMax) {
      const { count } = await db.query(
        (sql) => sql`
          DELETE FROM imports WHERE id IN (
            SELECT id FROM (
              SELECT id, finished_at, row_number() OVER (PARTITION BY owner ORDER BY id DESC) AS nth FROM imports
            ) every WHERE finished_at IS NOT NULL
              AND (nth > ${perOwnerMax} OR finished_at < clock_timestamp() - make_interval(days => ${days}))
            LIMIT ${FORGET_MAX})`,
      );
      return count;
    },
    async running() {
      const [row] = await db.query(
        (sql) => sql<[{ count: number }]>`SELECT count(*) AS count FROM imports WHERE finished_at IS NULL`,
      );
      return row.count;
    },
  };
}
