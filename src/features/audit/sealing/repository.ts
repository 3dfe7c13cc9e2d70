import type { Database } from '../../../adapters/postgres/database.ts';
import type { Queryable } from '../../../adapters/postgres/query.ts';
import type { SealedContent } from './chain.ts';

/** An entry with its link in the chain. */
export interface Link extends SealedContent {
  readonly position: number;
  readonly keyId: string;
  readonly seal: Uint8Array;
}

/** A new link. */
export interface NewLink {
  readonly id: string;
  readonly position: number;
  readonly seal: Uint8Array;
}

/** A transaction, which only repositories know how to use. */
export type Tx = Queryable;

/** The chain in PostgreSQL. */
export interface SealingRepository {
  /** Runs the work while no other host seals. Returns null if another one does. */
  exclusively<T>(work: (tx: Tx) => Promise<T>): Promise<T | null>;
  last(tx: Tx): Promise<{ position: number; seal: Uint8Array } | null>;
  /** Returns the seal at a position, or null if there is none. */
  sealAt(on: Tx | null, position: number): Promise<Uint8Array | null>;
  unsealed(tx: Tx, limit: number): Promise<SealedContent[]>;
  store(tx: Tx, keyId: string, links: readonly NewLink[]): Promise<void>;
  /** Links after a position, in order. */
  linksAfter(position: number, limit: number): Promise<Link[]>;
  /** How many entries are sealed and not, and the age of the oldest that is not. */
  counts(): Promise<{ sealed: number; unsealed: number; unsealedSeconds: number }>;
}

// An arbitrary seed for the lock of the chain.
const LOCK = 8_840_213_557;

export function createSealingRepository(db: Database): SealingRepository {
  const content = db.fragment`id::text AS id, (extract(epoch FROM occurred_at) * 1000000)::bigint::text AS occurred_us,
    organization, actor::text AS actor, action, target_type, target_id, before::text AS before, after::text AS after`;
  return {
    exclusively: (work) =>
      db.transaction(async (tx) => {
        const [row] = await tx.query(
          (sql) => sql<[{ locked: boolean }]>`SELECT pg_try_advisory_xact_lock(${LOCK}::bigint) AS locked`,
        );
        return row.locked ? work(tx) : null;
      }),
    async last(tx) {
      const [row] = await tx.query(
        (sql) => sql<{ position: number; seal: Uint8Array }[]>`
          SELECT position, seal FROM audit_entries WHERE position IS NOT NULL ORDER BY position DESC LIMIT 1`,
      );
      return row ?? null;
    },
    async sealAt(on, position) {
      const [row] = await (on ?? db).query(
        (sql) => sql<{ seal: Uint8Array }[]>`SELECT seal FROM audit_entries WHERE position = ${position}`,
      );
      return row?.seal ?? null;
    },
    unsealed: (tx, limit) =>
      tx.query(
        (sql) => sql<SealedContent[]>`
          SELECT ${content} FROM audit_entries WHERE position IS NULL ORDER BY audit_entries.id LIMIT ${limit}`,
      ),
    async store(tx, keyId, links) {
      await tx.query(
        (sql) => sql`
          UPDATE audit_entries e SET position = n.position, key_id = ${keyId}, seal = n.seal
          FROM unnest(${links.map(({ id }) => id)}::bigint[], ${links.map(({ position }) => position)}::bigint[],
            ${links.map(({ seal }) => `\\x${Buffer.from(seal).toString('hex')}`)}::text[]::bytea[])
            n(id, position, seal) WHERE e.id = n.id`,
      );
    },
    linksAfter: (position, limit) =>
      db.query(
        (sql) => sql<Link[]>`
          SELECT ${content}, position, key_id, seal FROM audit_entries WHERE position > ${position}
          ORDER BY position LIMIT ${limit}`,
      ),
    async counts() {
      const [row] = await db.query(
        (sql) => sql<[{ sealed: number; unsealed: number; unsealedSeconds: number }]>`
          SELECT coalesce((SELECT max(position) FROM audit_entries), 0) AS sealed, count(*) AS unsealed,
            coalesce(extract(epoch FROM now() - min(occurred_at)), 0)::float8 AS unsealed_seconds
          FROM audit_entries WHERE position IS NULL`,
      );
      return row;
    },
  };
}
