import { auditFragment } from '../../../adapters/postgres/audit.ts';
import type { Database } from '../../../adapters/postgres/database.ts';
import type { Incarnation } from '../../../adapters/postgres/incarnation.ts';
import type { Fragment, FragmentTag } from '../../../adapters/postgres/query.ts';
import type { ClaimedImport, ImportFailure, ImportState, LineCounts, RefusedLine } from '../import.ts';
import { finishedEvent, type ImportRow, importColumns, toImport } from '../import-row.ts';
import type { Place } from './records.ts';

/** How far a phase is, what became of the lines since, and whether the end of an export was seen. */
export interface Progress extends Place {
  readonly counts: LineCounts;
  readonly refused: readonly RefusedLine[];
  readonly expectsEnd: boolean;
  readonly hasEnd: boolean;
}

/** The work on imports, as leases of this process. One that was lost, or canceled, changes nothing any more. */
export interface Claims {
  /**
   * Takes the oldest import of a stored file of the owner that has waited longest, if nobody works on it. One of a
   * suspended organization waits until it is reinstated.
   */
  claim(): Promise<ClaimedImport | null>;
  /** Takes an import of a command, unless another process works on it. */
  claimOwn(owner: string, sha256: string): Promise<ClaimedImport | 'busy' | null>;
  /** Stores how far it is. `suspended`: its organization may have no effect any more until it is reinstated. */
  advance(claim: ClaimedImport, progress: Progress): Promise<'ok' | 'canceled' | 'suspended' | 'lost'>;
  /** Starts the next phase, from the beginning of the file. Returns false if the lease is lost. */
  startPosting(claim: ClaimedImport): Promise<boolean>;
  finish(claim: ClaimedImport, state: ImportState, failure: ImportFailure | null): Promise<boolean>;
  /** Lets others have it. */
  release(claim: ClaimedImport): Promise<void>;
}

export function createClaims(db: Database, incarnation: Incarnation): Claims {
  const columns = db.fragment`${importColumns(db.fragment)}, sha256, next_line, expects_end, has_end, has_documents,
    cancels, actor, token`;
  const take = async (chosen: (sql: typeof db.fragment) => ReturnType<typeof db.fragment>) => {
    const holder = await incarnation.hold();
    const silentToo = await incarnation.canJudge();
    const isFree = db.fragment`(holder IS NULL OR holder = ${holder} OR NOT EXISTS (SELECT FROM incarnations i
      WHERE i.id = holder AND (i.expires_at > clock_timestamp() OR NOT ${silentToo})))`;
    const [row] = await db.query(
      (sql) => sql<ImportRow[]>`
        UPDATE imports SET holder = ${holder}, token = token + 1 WHERE id = (
          SELECT id FROM imports WHERE finished_at IS NULL AND ${chosen(db.fragment)} AND ${isFree}
          ORDER BY turn_at LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING ${columns}`,
    );
    return row ? toClaim(row) : null;
  };
  return {
    claim: () =>
      take(
        (sql) => sql`file_id IS NOT NULL AND NOT EXISTS (SELECT FROM imports e WHERE e.owner = imports.owner
          AND e.finished_at IS NULL AND e.file_id IS NOT NULL AND e.id < imports.id)
          AND (cancels OR NOT ${isSuspended(db.fragment)})`,
      ),
    async claimOwn(owner, sha256) {
      const digest = Buffer.from(sha256, 'hex');
      const claimed = await take((sql) => sql`file_id IS NULL AND owner = ${owner} AND sha256 = ${digest}`);
      if (claimed !== null) return claimed;
      const [row] = await db.query(
        (sql) => sql<[{ busy: boolean }]>`SELECT EXISTS (SELECT FROM imports
          WHERE finished_at IS NULL AND file_id IS NULL AND owner = ${owner} AND sha256 = ${digest}) AS busy`,
      );
      return row.busy ? 'busy' : null;
    },
    async advance({ id, token }, { position, line, counts, refused, expectsEnd, hasEnd }) {
      const [row] = await db.query(
        (sql) => sql<{ cancels: boolean; isSuspended: boolean }[]>`
          WITH advanced AS (
            UPDATE imports SET position = ${position}, next_line = ${line}, expects_end = ${expectsEnd},
              has_end = ${hasEnd}, lines = lines + ${counts.lines}, posted = posted + ${counts.posted},
              existed = existed + ${counts.existed}, skipped = skipped + ${counts.skipped},
              refused = refused + ${counts.refused}
            WHERE id = ${id} AND token = ${token} AND finished_at IS NULL RETURNING id, cancels,
              ${isSuspended(db.fragment)} AS is_suspended
          ), reported AS (
            INSERT INTO import_refusals (import_id, line, member, code, detail)
            SELECT advanced.id, x.line, x.member, x.code, x.detail FROM advanced,
              json_to_recordset(${JSON.stringify(refused)}::text::json)
                AS x(line bigint, member text, code text, detail text)
            ON CONFLICT DO NOTHING
          )
          SELECT cancels, is_suspended FROM advanced`,
      );
      if (row === undefined) return 'lost';
      if (row.cancels) return 'canceled';
      return row.isSuspended ? 'suspended' : 'ok';
    },
    async startPosting({ id, token }) {
      const { count } = await db.query(
        (sql) => sql`
          UPDATE imports SET state = 'posting', position = 0, next_line = 1
          WHERE id = ${id} AND token = ${token} AND finished_at IS NULL`,
      );
      return count === 1;
    },
    async finish({ id, token, actor }, state, failure) {
      const rows = await db.query(
        (sql) => sql`
          WITH finished AS (
            UPDATE imports SET state = ${state}, failure = ${failure}, finished_at = clock_timestamp(), holder = NULL
            WHERE id = ${id} AND token = ${token} AND finished_at IS NULL RETURNING *
          ), ${finishedEvent(db.fragment)}, audited AS (${auditFragment(
            db.fragment,
            actor,
            ['import', 'finished'],
            db.fragment`SELECT owner, id, NULL::jsonb, jsonb_build_object('state', state, 'failure', failure,
              'posted', posted, 'refused', refused) FROM finished`,
          )})
          SELECT FROM finished`,
      );
      return rows.count === 1;
    },
    async release({ id, token }) {
      await db.query(
        (sql) => sql`
          UPDATE imports SET holder = NULL, turn_at = clock_timestamp()
          WHERE id = ${id} AND token = ${token} AND finished_at IS NULL`,
      );
    },
  };
}

/** A condition on a row of `imports`. */
function isSuspended(sql: FragmentTag): Fragment {
  return sql`EXISTS (SELECT FROM organizations o WHERE o.id = imports.owner AND o.suspended_at IS NOT NULL)`;
}

function toClaim(row: ImportRow): ClaimedImport {
  const { sha256, nextLine, expectsEnd, hasEnd, hasDocuments, cancels, actor, token } = row;
  const shared = { nextLine, expectsEnd, hasEnd, hasDocuments, cancels, actor, token };
  return { ...toImport(row), ...shared, sha256: sha256.toString('hex') };
}
