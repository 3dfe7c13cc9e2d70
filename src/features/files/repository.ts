import type { ObjectStore } from '../../adapters/object-store/object-store.ts';
import { auditFragment } from '../../adapters/postgres/audit.ts';
import { BatchedReads } from '../../adapters/postgres/batched-reads.ts';
import type { Database, QueryOptions } from '../../adapters/postgres/database.ts';
import type { Incarnation } from '../../adapters/postgres/incarnation.ts';
import { type Fragment, sentAtOnce } from '../../adapters/postgres/query.ts';
import { AbortableSignal } from '../../utils/abortable.ts';
import type { Actor } from '../../utils/actor.ts';
import { orAbort } from '../../utils/or-abort.ts';
import type { Tx } from '../idempotency.ts';
import {
  DIGEST_BYTES,
  type Digests,
  type FileRecord,
  type InitiatedUpload,
  type StoredFile,
} from './domain.ts';

/** The store of the bytes of files. */
export type FileObjects = ObjectStore;

/** A new row. Size and digest are unknown for bytes that are uploaded to Atlas itself. */
export type NewFile = Pick<FileRecord, 'id' | 'owner'> &
  Pick<InitiatedUpload, 'name' | 'mediaType'> &
  Partial<Pick<InitiatedUpload, 'sizeBytes' | 'sha256'>>;

/** The records of files, in PostgreSQL. Ids sort by age. */
export interface FileRepository {
  /** Returns the prefix of all object keys of this database. */
  realm(): Promise<string>;
  /**
   * Inserts the row of an upload that this process receives: if it dies, the upload ends. Returns null if the owner
   * already has `uploadsMax` in progress.
   */
  begin(
    file: NewFile,
    leaseSeconds: number,
    uploadsMax: number,
    signal?: AbortSignal,
  ): Promise<FileRecord | null>;
  /** Inserts the row of an upload whose bytes are sent to a link. Returns like {@link begin}. */
  initiate(
    file: NewFile,
    leaseSeconds: number,
    uploadsMax: number,
    actor: Actor,
    options?: QueryOptions,
  ): Promise<FileRecord | null>;
  /** Extends the lease of the upload to this many seconds from now. */
  renew(id: string, leaseSeconds: number): Promise<void>;
  /** Makes the file readable and writes its event, in one transaction. Returns null if the upload has ended. */
  store(id: string, mediaType: string, digests: Digests, actor: Actor, tx?: Tx): Promise<StoredFile | null>;
  /** Abandons an upload. Returns whether its object may be deleted: not if the file is stored after all. */
  abandon(id: string, actor: Actor): Promise<boolean>;
  /** Returns a file that is uploading or stored. Reads that arrive together share a query: see {@link BatchedReads}. */
  find(id: string, signal?: AbortSignal): Promise<FileRecord | null>;
  /** Returns up to `count` digests of chunks, starting at `first`; none if there is no such file. */
  chunkDigests(id: string, first: number, count: number, signal?: AbortSignal): Promise<Uint8Array>;
  /** Lists stored files of the owner, oldest first. */
  list(owner: string, after: string | null, limit: number, signal?: AbortSignal): Promise<StoredFile[]>;
  /** Hides the file from readers and writes its event, in one transaction. Returns false if there is no such file. */
  delete(owner: string, id: string, actor: Actor, signal?: AbortSignal): Promise<boolean>;
  /** Deletes the row of a file whose object is deleted. */
  forget(id: string): Promise<void>;
  /** Ends the leases of uploads whose process has exited. One that is silent may still bring the bytes. */
  endLost(): Promise<void>;
  /** Abandons uploads whose lease has expired. Returns how many. */
  expire(limit: number, actor: Actor): Promise<number>;
  /** Lists files whose object, and then row, must be deleted. */
  listDeleting(after: string | null, limit: number): Promise<string[]>;
  /** Lists stored files of all owners, by id. */
  listStored(after: string | null, limit: number): Promise<StoredFile[]>;
  /** Returns the ids that have a row, in any state. */
  known(ids: readonly string[]): Promise<Set<string>>;
}

type Row = Omit<FileRecord, 'createdAt' | 'sha256'> & { createdAt: Date; sha256: Buffer | null };

/** What the reconciler calls. */
type ReconcilerMethods = 'endLost' | 'expire' | 'listDeleting' | 'listStored' | 'known';

export function createFileRepository(db: Database, incarnation: Pick<Incarnation, 'hold'>): FileRepository {
  return { ...createFiles(db, incarnation), ...createReconciliation(db) };
}

function createFiles(
  db: Database,
  incarnation: Pick<Incarnation, 'hold'>,
): Omit<FileRepository, ReconcilerMethods> {
  const columns = columnsOf(db);
  const audited = auditedBy(db);
  const content = db.fragment`jsonb_build_object('name', name, 'mediaType', media_type, 'sizeBytes', size_bytes,
    'sha256', encode(sha256, 'hex'))`;
  const reads = new BatchedReads<FileRecord>({
    async read(ids, signal) {
      const rows = await db.query(
        (sql) => sql<Row[]>`
          SELECT ${columns} FROM files WHERE id = ANY (${sentAtOnce(`{${ids}}`)}::uuid[])
            AND (state = 'stored' OR (state = 'uploading' AND expires_at > now()))`,
        { signal },
      );
      return rows.map((row) => [row.id, toFile(row)] as const);
    },
  });
  let realm: Promise<string> | null = null;

  return {
    realm() {
      realm ??= readRealm(db).catch((error: unknown) => {
        realm = null;
        throw error;
      });
      return realm;
    },
    async begin({ id, owner, name, mediaType }, leaseSeconds, uploadsMax, signal) {
      const held = incarnation.hold();
      const holder = await (signal ? orAbort(held, signal) : held);
      const [row] = await db.query(
        (sql) => sql<Row[]>`
          SELECT ${columns} FROM begin_held_upload(
            ${id}, ${owner}, ${name}, ${mediaType}, NULL, NULL, ${leaseSeconds}, ${uploadsMax}, ${holder})`,
        { signal },
      );
      return row ? toFile(row) : null;
    },
    async initiate(file, leaseSeconds, uploadsMax, actor, options) {
      const { id, owner, name, mediaType, sizeBytes = null, sha256 } = file;
      const digest = sha256 === undefined ? null : Buffer.from(sha256, 'hex');
      const [row] = await db.query(
        (sql) => sql<Row[]>`
          WITH initiated AS (
            SELECT * FROM begin_upload(
              ${id}, ${owner}, ${name}, ${mediaType}, ${sizeBytes}, ${digest}, ${leaseSeconds}, ${uploadsMax})
          ), audited AS (${audited(actor, 'initiated', sql`SELECT owner, id, NULL::jsonb, ${content} FROM initiated`)})
          SELECT ${columns} FROM initiated`,
        options,
      );
      return row ? toFile(row) : null;
    },
    async renew(id, leaseSeconds) {
      await db.query(
        (sql) => sql`
        UPDATE files SET expires_at = greatest(expires_at, now() + ${leaseSeconds}::float8 * interval '1 second')
        WHERE id = ${id} AND state = 'uploading'`,
      );
    },
    async store(id, mediaType, { sizeBytes, sha256, chunks }, actor, tx) {
      const [row] = await db.query(
        (sql) => sql<Row[]>`
          WITH stored AS (
            UPDATE files SET state = 'stored', media_type = ${mediaType}, size_bytes = ${sizeBytes},
              sha256 = ${Buffer.from(sha256)}, chunks = ${Buffer.from(chunks)}, expires_at = NULL
            WHERE id = ${id} AND state = 'uploading' RETURNING *
          ), event AS (
            INSERT INTO outbox (owner, type, key, sequence, occurred_at, data)
            SELECT owner, 'file.stored.v1', id::text, 1, now(), jsonb_build_object('fileId', id, 'name', name,
              'mediaType', media_type, 'sizeBytes', size_bytes, 'sha256', encode(sha256, 'hex')) FROM stored
          ), audited AS (${audited(actor, 'stored', sql`SELECT owner, id, NULL::jsonb, ${content} FROM stored`)})
          SELECT ${columns} FROM stored`,
        { tx },
      );
      return row ? (toFile(row) as StoredFile) : null;
    },
    async abandon(id, actor) {
      // The row is locked before its state is read: the commit of `store` may be in progress, with its reply lost.
      const [row] = await db.query(
        (sql) => sql<[{ free: boolean }]>`
          WITH found AS (
            SELECT id, state FROM files WHERE id = ${id} FOR UPDATE
          ), abandoned AS (
            UPDATE files f SET state = 'deleting', expires_at = NULL FROM found
            WHERE f.id = found.id AND found.state = 'uploading' RETURNING f.*
          ), audited AS (${audited(actor, 'aborted', abandoned(db))})
          SELECT NOT EXISTS (SELECT FROM found WHERE state = 'stored') AS free`,
      );
      return row.free;
    },
    find: (id, signal) => reads.find(id, signal && new AbortableSignal(signal)),
    async chunkDigests(id, first, count, signal) {
      const [row] = await db.query(
        (sql) => sql<{ digests: Buffer }[]>`
          SELECT substring(chunks FROM ${first * DIGEST_BYTES + 1}::int FOR ${count * DIGEST_BYTES}::int) AS digests
          FROM files WHERE id = ${id} AND state = 'stored'`,
        { signal },
      );
      return row?.digests ?? new Uint8Array();
    },
    async list(owner, after, limit, signal) {
      const rows = await db.query(
        (sql) => sql<Row[]>`
          SELECT ${columns} FROM files
          WHERE owner = ${owner} AND state = 'stored' ${after === null ? sql`` : sql`AND id > ${after}`}
          ORDER BY id LIMIT ${limit}`,
        { signal },
      );
      return rows.map(toFile) as StoredFile[];
    },
    async delete(owner, id, actor, signal) {
      const rows = await db.query(
        (sql) => sql`
          WITH found AS (
            SELECT id, state, name FROM files
            WHERE id = ${id} AND owner = ${owner}
              AND (state = 'stored' OR (state = 'uploading' AND expires_at > now())) FOR UPDATE
          ), gone AS (
            UPDATE files f SET state = 'deleting', expires_at = NULL FROM found WHERE f.id = found.id
            RETURNING f.id, f.owner, found.state, found.name
          ), event AS (
            INSERT INTO outbox (owner, type, key, sequence, occurred_at, data)
            SELECT owner, 'file.deleted.v1', id::text, 2, now(), jsonb_build_object('fileId', id) FROM gone
            WHERE state = 'stored'
          ), audited AS (${audited(
            actor,
            'deleted',
            sql`SELECT owner, id, jsonb_build_object('name', name), NULL::jsonb FROM gone`,
          )})
          SELECT id FROM gone`,
        { signal },
      );
      return rows.length === 1;
    },
    async forget(id) {
      await db.query((sql) => sql`DELETE FROM files WHERE id = ${id} AND state = 'deleting'`);
    },
  };
}

async function readRealm(db: Database): Promise<string> {
  const [row] = await db.query((sql) => sql<[{ realm: string }]>`SELECT realm FROM object_realm`);
  return row.realm;
}

function createReconciliation(db: Database): Pick<FileRepository, ReconcilerMethods> {
  const columns = columnsOf(db);
  return {
    async endLost() {
      await db.query(
        (sql) => sql`
        UPDATE files f SET expires_at = now()
        WHERE state = 'uploading' AND expires_at > now() AND incarnation IS NOT NULL
          AND NOT EXISTS (SELECT FROM incarnations i WHERE i.id = f.incarnation)`,
      );
    },
    async expire(limit, actor) {
      const rows = await db.query(
        (sql) => sql`
        WITH abandoned AS (
          UPDATE files SET state = 'deleting', expires_at = NULL
          WHERE state = 'uploading' AND id IN (
            SELECT id FROM files WHERE state = 'uploading' AND expires_at <= now()
            ORDER BY expires_at LIMIT ${limit} FOR UPDATE SKIP LOCKED)
          RETURNING *
        ), audited AS (${auditedBy(db)(actor, 'aborted', abandoned(db))})
        SELECT FROM abandoned`,
      );
      return rows.count;
    },
    async listDeleting(after, limit) {
      const rows = await db.query(
        (sql) => sql<{ id: string }[]>`
        SELECT id FROM files WHERE state = 'deleting' ${after === null ? sql`` : sql`AND id > ${after}`}
        ORDER BY id LIMIT ${limit}`,
      );
      return rows.map(({ id }) => id);
    },
    async listStored(after, limit) {
      const rows = await db.query(
        (sql) => sql<Row[]>`
        SELECT ${columns} FROM files WHERE state = 'stored' ${after === null ? sql`` : sql`AND id > ${after}`}
        ORDER BY id LIMIT ${limit}`,
      );
      return rows.map(toFile) as StoredFile[];
    },
    async known(ids) {
      const list = `{${ids.join(',')}}`;
      const rows = await db.query(
        (sql) => sql<{ id: string }[]>`SELECT id FROM files WHERE id = ANY (${list}::uuid[])`,
      );
      return new Set(rows.map(({ id }) => id));
    },
  };
}

const auditedBy = (db: Database) => (actor: Actor, did: string, changed: Fragment) =>
  auditFragment(db.fragment, actor, ['file', did], changed);

/** Of the rows of abandoned uploads, those that a caller has initiated: an upload through the API never was a file. */
const abandoned = (db: Database) => db.fragment`
  SELECT owner, id, jsonb_build_object('name', name), NULL::jsonb FROM abandoned WHERE size_bytes IS NOT NULL`;

const columnsOf = ({ fragment }: Database) =>
  fragment`id, owner, state, name, media_type, size_bytes, sha256, created_at`;

function toFile({ createdAt, sha256, ...row }: Row): FileRecord {
  return { ...row, sha256: sha256?.toString('hex') ?? null, createdAt: createdAt.toISOString() };
}
