import type { Database } from '../../../adapters/postgres/database.ts';
import { type AttemptSubject, FORGET_HOURS, KNOWN_DAYS, WAIT_SECONDS_MAX } from './domain.ts';

/** Attempts in PostgreSQL, by its clock. So all hosts count together, and a restart forgets nothing. */
export interface AttemptRepository {
  /**
   * Counts a failed attempt at each subject, before it is made: so no two that run at once get more than their part.
   * Returns 0, or after how many seconds to try again if one of the subjects has to wait.
   */
  take(subjects: readonly AttemptSubject[], signal?: AbortSignal): Promise<number>;
  /** Takes back attempts that succeeded, or were not made. */
  putBack(subjects: readonly AttemptSubject[]): Promise<void>;
  isKnown(subject: AttemptSubject, signal?: AbortSignal): Promise<boolean>;
  /** Remembers a subject as known, without failures. */
  know(subject: AttemptSubject): Promise<void>;
  /** Forgets all failures of a subject. */
  forgive(subject: AttemptSubject): Promise<void>;
  /** Deletes what is too old to matter, in steps. */
  forget(): Promise<void>;
}

const FORGET_ROWS_MAX = 1000;

/** The driver cannot send an array of bytes. */
const literals = (subjects: readonly AttemptSubject[]) =>
  subjects.map(({ hash }) => `\\x${hash.toString('hex')}`);

export function createAttemptRepository(db: Database): AttemptRepository {
  // One failure is forgotten for each time of the longest wait in which nothing was tried: as often as somebody who
  // always waits may try. So a network that many people share gets over those of one of them.
  const left = db.fragment`
    greatest(0, a.failures - floor(extract(epoch FROM now() - a.next_at) / ${WAIT_SECONDS_MAX}))::int`;
  return {
    async take(subjects, signal) {
      const hashes = literals(subjects);
      const free = subjects.map(({ failuresFree }) => failuresFree);
      const [row] = await db.query(
        (sql) => sql<[{ taken: number; waitSeconds: number | null }]>`
          WITH waiting AS (
            SELECT ceil(extract(epoch FROM max(next_at) - now()))::int AS seconds FROM attempts
            WHERE subject = ANY (${hashes}::text[]::bytea[]) AND next_at > now()
          ), taken AS (
            INSERT INTO attempts AS a (subject, failures, next_at, forget_at)
            SELECT subject, 1, now(), now() + make_interval(hours => ${FORGET_HOURS})
            FROM unnest(${hashes}::text[]::bytea[]) subject
            WHERE (SELECT seconds FROM waiting) IS NULL ORDER BY subject
            ON CONFLICT (subject) DO UPDATE SET
              failures = ${left} + 1,
              next_at = now() + interval '1 second' * (
                SELECT CASE WHEN ${left} < free THEN 0
                            ELSE least(power(2, least(${left} - free, 20)), ${WAIT_SECONDS_MAX}) END
                FROM unnest(${hashes}::text[]::bytea[], ${free}::int[]) given (hash, free)
                WHERE given.hash = a.subject),
              forget_at = greatest(a.forget_at, now() + make_interval(hours => ${FORGET_HOURS}))
            WHERE a.next_at <= now() RETURNING 1
          )
          SELECT (SELECT count(*) FROM taken)::int AS taken, (SELECT seconds FROM waiting) AS wait_seconds`,
        { signal },
      );
      if (row.taken === subjects.length) return 0;
      // Another attempt took the turn meanwhile.
      return Math.max(1, row.waitSeconds ?? 1);
    },
    async putBack(subjects) {
      const hashes = literals(subjects);
      await db.query(
        (sql) => sql`
          UPDATE attempts SET failures = greatest(failures - 1, 0), next_at = now()
          WHERE subject = ANY (${hashes}::text[]::bytea[])`,
      );
    },
    async isKnown({ hash }, signal) {
      const rows = await db.query(
        (sql) => sql`SELECT FROM attempts WHERE subject = ${hash} AND forget_at > now()`,
        { signal },
      );
      return rows.length > 0;
    },
    async know({ hash }) {
      await db.query(
        (sql) => sql`
          INSERT INTO attempts (subject, failures, next_at, forget_at)
          VALUES (${hash}, 0, now(), now() + make_interval(days => ${KNOWN_DAYS}))
          ON CONFLICT (subject) DO UPDATE SET
            failures = 0, next_at = excluded.next_at, forget_at = excluded.forget_at`,
      );
    },
    async forgive({ hash }) {
      await db.query((sql) => sql`DELETE FROM attempts WHERE subject = ${hash}`);
    },
    async forget() {
      for (let count = FORGET_ROWS_MAX; count === FORGET_ROWS_MAX; ) {
        ({ count } = await db.query(
          (sql) => sql`
            DELETE FROM attempts WHERE subject = ANY (ARRAY(
              SELECT subject FROM attempts WHERE forget_at <= now() ORDER BY forget_at LIMIT ${FORGET_ROWS_MAX}))`,
        ));
      }
    },
  };
}
