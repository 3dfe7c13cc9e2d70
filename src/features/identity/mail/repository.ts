import type { Database } from '../../../adapters/postgres/database.ts';
import type { Incarnation } from '../../../adapters/postgres/incarnation.ts';
import { lockName } from '../../../adapters/postgres/name-lock.ts';
import { inTime } from '../../../adapters/postgres/postgres.ts';
import type { Queryable } from '../../../adapters/postgres/query.ts';
import { orAbort } from '../../../utils/or-abort.ts';
import { type GivenUpMail, LEASE_MS, type MailBacklog, type MailClaim, type MailOutcome } from './domain.ts';

/** A transaction, which only repositories know how to use. */
export type Tx = Queryable;

/** A mail as it is stored first. */
export interface MailRow {
  readonly id: string;
  readonly organization: string;
  readonly recipient: string;
  /** A sealed record. */
  readonly content: string;
  readonly expiresAt: Date;
}

/** How many mails of the last hour exist for a recipient and an organization, and how many are pending in all. */
export interface MailCounts {
  readonly ofRecipient: number;
  readonly ofOrganization: number;
  readonly pending: number;
  /** When the oldest of them leaves the hour. Null if there is none. */
  readonly recipientFreeInSeconds: number | null;
  readonly organizationFreeInSeconds: number | null;
}

/** No count goes beyond these. */
export type MailLimits = Pick<MailCounts, 'ofRecipient' | 'ofOrganization' | 'pending'>;

/** Mails in PostgreSQL: a queue that several hosts work on. Due times and leases use its clock. */
export interface MailRepository {
  /** Locks the recipient until the transaction ends, and counts up to the limits. */
  count(tx: Tx, mail: MailRow, limits: MailLimits): Promise<MailCounts>;
  insert(tx: Tx, mail: MailRow): Promise<void>;
  /** Claims up to `free` due mails for this process's incarnation, those that expire first. */
  claim(free: number, signal: AbortSignal): Promise<readonly MailClaim[]>;
  /** Records the result of an attempt, unless another one has started since. Returns whether it was recorded. */
  settle(claim: MailClaim, outcome: MailOutcome): Promise<boolean>;
  /** Releases a claim without counting its attempt: nothing was sent, or nobody knows whether it was. */
  release(claim: MailClaim, waitMs: number): Promise<void>;
  /** Makes mails due again whose process has died before it recorded their attempt. Returns their ids. */
  freeLost(signal: AbortSignal): Promise<readonly string[]>;
  /** Gives up the next mails that nobody can use any more. */
  expire(signal: AbortSignal): Promise<readonly GivenUpMail[]>;
  backlog(signal: AbortSignal): Promise<MailBacklog>;
  /** Deletes mails that ended long ago, in steps. */
  forget(): Promise<void>;
}

const SILENCE_MS = 15_000;
const EXPIRED_ROWS_MAX = 100;
const FORGET_ROWS_MAX = 1000;
/** Also longer than the hour whose mails are counted. */
const RETENTION_DAYS = 7;

type Holder = Pick<Incarnation, 'hold' | 'canJudge'>;

export function createMailRepository(db: Database, incarnation: Holder): MailRepository {
  return { ...createOutbox(), ...createQueue(db, incarnation), ...createCleanUp(db) };
}

function createOutbox(): Pick<MailRepository, 'count' | 'insert'> {
  return {
    async count(tx, { recipient, organization }, limits) {
      await lockName(tx, 'recipient of mails', recipient.toLowerCase());
      // A statement of its own, so that it sees what was stored while this one waited.
      const [row] = await tx.query(
        (sql) => sql<[MailCounts]>`
          SELECT r.count AS of_recipient, r.free AS recipient_free_in_seconds,
            o.count AS of_organization, o.free AS organization_free_in_seconds, p.count AS pending
          FROM (SELECT count(*), ceil(extract(epoch FROM min(created_at) + interval '1 hour' - now()))::int AS free
                FROM (SELECT created_at FROM mails
                      WHERE lower(recipient) = lower(${recipient}) AND created_at > now() - interval '1 hour'
                      ORDER BY created_at DESC LIMIT ${limits.ofRecipient}) m) r,
               (SELECT count(*), ceil(extract(epoch FROM min(created_at) + interval '1 hour' - now()))::int AS free
                FROM (SELECT created_at FROM mails
                      WHERE organization = ${organization} AND created_at > now() - interval '1 hour'
                      ORDER BY created_at DESC LIMIT ${limits.ofOrganization}) m) o,
               (SELECT count(*) FROM (SELECT FROM mails WHERE state = 'pending' LIMIT ${limits.pending}) m) p`,
      );
      return row;
    },
    async insert(tx, { id, organization, recipient, content, expiresAt }) {
      await tx.query(
        (sql) => sql`
          INSERT INTO mails (id, organization, recipient, content, expires_at)
          VALUES (${id}, ${organization}, ${recipient}, ${content}, ${expiresAt})`,
      );
    },
  };
}

type Queue = 'claim' | 'settle' | 'release' | 'freeLost';

function createQueue(db: Database, incarnation: Holder): Pick<MailRepository, Queue> {
  return {
    async claim(free, signal) {
      const id = await orAbort(inTime(incarnation.hold(), SILENCE_MS), signal);
      const rows = db.query(
        (sql) => sql<MailClaim[]>`
          UPDATE mails SET attempts = attempts + 1, tries = tries + 1, incarnation = ${id},
            leased_until = now() + ${LEASE_MS} * interval '1 millisecond',
            next_attempt_at = now() + ${LEASE_MS} * interval '1 millisecond'
          WHERE id = ANY (ARRAY(
            SELECT id FROM mails WHERE state = 'pending' AND next_attempt_at <= now() AND expires_at > now()
            ORDER BY expires_at LIMIT ${free} FOR UPDATE SKIP LOCKED))
          RETURNING id, organization, recipient, content, created_at, attempts, tries,
            extract(epoch FROM expires_at - now())::float8 * 1000 AS expires_in_ms`,
      );
      return orAbort(inTime(rows, SILENCE_MS), signal);
    },
    async settle({ id, attempts }, { state, waitMs, failure }) {
      const settled = db.query(
        (sql) => sql`
          UPDATE mails SET state = ${state}, failure = ${failure}, leased_until = NULL,
            next_attempt_at = now() + ${waitMs} * interval '1 millisecond',
            content = CASE WHEN ${state} = 'pending' THEN content END,
            ended_at = CASE WHEN ${state} <> 'pending' THEN now() END
          WHERE id = ${id} AND attempts = ${attempts} AND state = 'pending'`,
      );
      return (await inTime(settled, SILENCE_MS)).count === 1;
    },
    async release({ id, attempts }, waitMs) {
      const released = db.query(
        (sql) => sql`
          UPDATE mails SET leased_until = NULL, tries = greatest(0, tries - 1),
            next_attempt_at = now() + ${waitMs} * interval '1 millisecond'
          WHERE id = ${id} AND attempts = ${attempts} AND leased_until IS NOT NULL`,
      );
      await inTime(released, SILENCE_MS);
    },
    async freeLost(signal) {
      const free = async () => {
        const silentToo = await incarnation.canJudge();
        return db.query(
          (sql) => sql<{ id: string }[]>`
            UPDATE mails m SET leased_until = NULL, next_attempt_at = now()
            WHERE m.leased_until IS NOT NULL AND NOT EXISTS (SELECT FROM incarnations i
              WHERE i.id = m.incarnation AND (i.expires_at > clock_timestamp() OR NOT ${silentToo}))
            RETURNING id`,
        );
      };
      return (await orAbort(inTime(free(), SILENCE_MS), signal)).map(({ id }) => id);
    },
  };
}

function createCleanUp(db: Database): Pick<MailRepository, 'expire' | 'backlog' | 'forget'> {
  return {
    async expire(signal) {
      const rows = db.query(
        (sql) => sql<GivenUpMail[]>`
          UPDATE mails SET state = 'failed', content = NULL, leased_until = NULL, ended_at = now(),
            failure = CASE WHEN failure IS NULL THEN 'expired' ELSE left('expired after ' || failure, 64) END
          WHERE id = ANY (ARRAY(
            SELECT id FROM mails WHERE state = 'pending' AND expires_at <= now()
              AND (leased_until IS NULL OR leased_until <= now())
            ORDER BY expires_at LIMIT ${EXPIRED_ROWS_MAX} FOR UPDATE SKIP LOCKED))
          RETURNING id, organization, recipient, attempts, failure`,
      );
      return orAbort(inTime(rows, SILENCE_MS), signal);
    },
    async backlog(signal) {
      const [row] = await db.query(
        (sql) => sql<[MailBacklog]>`
          SELECT count(*) AS pending, count(*) FILTER (WHERE next_attempt_at <= now()) AS due,
            coalesce(greatest(0, extract(epoch FROM now() - min(next_attempt_at))), 0)::float8 AS due_age_seconds
          FROM mails WHERE state = 'pending'`,
        { signal },
      );
      return row;
    },
    async forget() {
      for (let count = FORGET_ROWS_MAX; count === FORGET_ROWS_MAX; ) {
        ({ count } = await db.query(
          (sql) => sql`
          DELETE FROM mails WHERE id = ANY (ARRAY(
            SELECT id FROM mails WHERE ended_at < now() - make_interval(days => ${RETENTION_DAYS})
            ORDER BY ended_at LIMIT ${FORGET_ROWS_MAX}))`,
        ));
      }
    },
  };
}
