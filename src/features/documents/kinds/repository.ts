import { auditFragment } from '../../../adapters/postgres/audit.ts';
import type { Database } from '../../../adapters/postgres/database.ts';
import type { Actor } from '../../../utils/actor.ts';
import type { Turns } from '../../../utils/turns.ts';
import {
  type DocumentKind,
  KIND_VERSIONS_MAX,
  KINDS_MAX,
  type KindVersion,
  type Replaces,
} from '../domain.ts';

/** A version of a kind that is to be written. */
export interface NewKind {
  readonly kind: string;
  readonly title: string | null;
  readonly schema: object;
  /** Of the title and the schema as canonical JSON. */
  readonly sha256: Uint8Array;
  readonly sizeBytes: number;
}

/** What became of a write. All but the first three are why nothing was written. */
export type KindOutcome =
  | 'created'
  | 'changed'
  | 'unchanged'
  | 'precondition_required'
  | 'precondition_failed'
  | 'too_many_document_kinds'
  | 'too_many_document_versions'
  | 'document_storage_full';

/** Kinds of documents in PostgreSQL. Every method is limited to one owner. */
export interface KindRepository {
  write(
    owner: string,
    kind: NewKind,
    replaces: Replaces,
    actor: Actor,
    signal?: AbortSignal,
  ): Promise<{ outcome: KindOutcome; version: number; createdAt: string }>;
  /** Returns a version, or the newest. */
  find(
    owner: string,
    kind: string,
    version: number | null,
    signal?: AbortSignal,
  ): Promise<DocumentKind | null>;
  /** Returns the newest version, without its schema if it is that one. */
  newest(
    owner: string,
    kind: string,
    known: number | null,
    signal?: AbortSignal,
  ): Promise<{ version: number; schema: object | null } | null>;
  /** Lists the newest versions by name, after one. */
  list(owner: string, after: string | null, limit: number, signal?: AbortSignal): Promise<KindVersion[]>;
  /** Lists the versions of a kind, newest first, before one. */
  versions(
    owner: string,
    kind: string,
    before: number | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<KindVersion[]>;
}

type Row<T> = Omit<T, 'createdAt'> & { readonly createdAt: Date };

export function createKindRepository(db: Database, bytesMax: number, turns: Turns): KindRepository {
  const columns = db.fragment`kind, version, title, created_at`;
  return {
    async write(owner, { kind, title, schema, sha256, sizeBytes }, replaces, actor, signal) {
      const expected = typeof replaces === 'string' ? null : [...replaces];
      const audited = (outcome: string, did: string) =>
        auditFragment(
          db.fragment,
          actor,
          ['document_kind', did],
          db.fragment`SELECT ${owner}, ${kind}, NULL::jsonb, jsonb_build_object('version', version,
            'sha256', ${Buffer.from(sha256).toString('hex')}::text) FROM written WHERE outcome = ${outcome}`,
        );
      // Writes of an owner lock the same row.
      const write = () =>
        db.query(
          (sql) => sql<[{ outcome: KindOutcome; version: number; createdAt: Date | null }]>`
          WITH written AS (
            SELECT * FROM write_document_kind(${owner}, ${kind}, ${expected}::bigint[], ${replaces === 'any'}, ${title},
              ${JSON.stringify(schema)}::text::json, ${Buffer.from(sha256)}, ${sizeBytes}, ${KINDS_MAX},
              ${KIND_VERSIONS_MAX}, ${bytesMax})
          ), created AS (${audited('created', 'created')}), changed AS (${audited('changed', 'updated')})
          SELECT * FROM written`,
          { signal },
        );
      const [row] = await turns.run(owner, write, signal);
      return { ...row, createdAt: row.createdAt?.toISOString() ?? '' };
    },
    async find(owner, kind, version, signal) {
      const [row] = await db.query(
        (sql) => sql<Row<DocumentKind>[]>`
          SELECT ${columns}, schema FROM document_kinds
          WHERE owner = ${owner} AND kind = ${kind} ${version === null ? sql`` : sql`AND version = ${version}`}
          ORDER BY version DESC LIMIT 1`,
        { signal },
      );
      return row ? toDated(row) : null;
    },
    async newest(owner, kind, known, signal) {
      const [row] = await db.query(
        (sql) => sql<{ version: number; schema: object | null }[]>`
          SELECT version, CASE WHEN version IS DISTINCT FROM ${known}::int THEN schema END AS schema
          FROM document_kinds WHERE owner = ${owner} AND kind = ${kind} ORDER BY version DESC LIMIT 1`,
        { signal },
      );
      return row ?? null;
    },
    async list(owner, after, limit, signal) {
      const rows = await db.query(
        (sql) => sql<Row<KindVersion>[]>`
          SELECT DISTINCT ON (kind) ${columns} FROM document_kinds
          WHERE owner = ${owner} ${after === null ? sql`` : sql`AND kind > ${after}`}
          ORDER BY kind, version DESC LIMIT ${limit}`,
        { signal },
      );
      return rows.map(toDated);
    },
    async versions(owner, kind, before, limit, signal) {
      const rows = await db.query(
        (sql) => sql<Row<KindVersion>[]>`
          SELECT ${columns} FROM document_kinds
          WHERE owner = ${owner} AND kind = ${kind} ${before === null ? sql`` : sql`AND version < ${before}`}
          ORDER BY version DESC LIMIT ${limit}`,
        { signal },
      );
      return rows.map(toDated);
    },
  };
}

function toDated<T extends { readonly createdAt: Date }>(
  row: T,
): Omit<T, 'createdAt'> & { createdAt: string } {
  return { ...row, createdAt: row.createdAt.toISOString() };
}
