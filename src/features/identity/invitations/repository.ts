import { recordAudit } from '../../../adapters/postgres/audit.ts';
import type { Database } from '../../../adapters/postgres/database.ts';
import type { Queryable } from '../../../adapters/postgres/query.ts';
import type { Actor } from '../../../utils/actor.ts';
import {
  HOURLY_INVITATIONS_MAX,
  INVITATION_DAYS,
  type Invitation,
  OPEN_INVITATIONS_MAX,
} from './invitation.ts';

/** A transaction, which only repositories know how to use. */
export type Tx = Queryable;

/** An invitation to store, with the hash of its token. */
export interface InvitationToInsert extends Omit<Invitation, 'createdAt' | 'expiresAt'> {
  readonly secretHash: Uint8Array;
}

/** How many invitations of the last hour there were, and when the oldest of them leaves it. */
export interface RecentInvitations {
  readonly count: number;
  readonly freeInSeconds: number | null;
}

/**
 * Invitations in PostgreSQL. What was not accepted in time is as if it did not exist. Those that are handed a
 * transaction run in it, and it has locked the organization.
 */
export interface InvitationRepository {
  transaction: Database['transaction'];
  /** Lists all open invitations of an organization, oldest first. */
  list(organization: string, signal?: AbortSignal): Promise<Invitation[]>;
  find(tx: Tx, organization: string, id: string): Promise<Invitation | null>;
  findByEmail(tx: Tx, organization: string, email: string): Promise<Invitation | null>;
  /** Lists the open invitations that a user or key sent. */
  listSentBy(tx: Tx, organization: string, sender: string): Promise<Invitation[]>;
  countOpen(tx: Tx, organization: string): Promise<number>;
  /** Counts what was sent within the last hour, up to `HOURLY_INVITATIONS_MAX`, whatever became of it. */
  countRecent(tx: Tx, organization: string): Promise<RecentInvitations>;
  /** Returns whether the organization has a member with this address. */
  isMember(tx: Tx, organization: string, email: string): Promise<boolean>;
  /** Returns the name of the organization, and the address of the user who invites, if it is a user. */
  namesFor(
    tx: Tx,
    organization: string,
    userId: string | null,
  ): Promise<{ organization: string; inviter: string | null }>;
  /** Stores an invitation, instead of one for the same address. It never outlives the key that sent it. */
  save(tx: Tx, invitation: InvitationToInsert): Promise<Invitation>;
  remove(tx: Tx, id: string): Promise<void>;
  /** Returns the organization that an open invitation is for. The transaction need not have locked it. */
  organizationOf(tx: Tx, secretHash: Uint8Array): Promise<string | null>;
  /** Returns an open invitation for this address, and removes it. */
  take(tx: Tx, organization: string, secretHash: Uint8Array, email: string): Promise<Invitation | null>;
  /** Returns the address of a user if they have confirmed it. */
  confirmedEmailOf(tx: Tx, userId: string): Promise<string | null>;
  record(
    tx: Tx,
    actor: Actor,
    did: 'created' | 'withdrawn' | 'accepted',
    invitation: Invitation,
  ): Promise<void>;
  /** Deletes what was not accepted in time, in steps. */
  forgetExpired(): Promise<void>;
}

const FORGET_ROWS_MAX = 1000;

export function createInvitationRepository(db: Database): InvitationRepository {
  return {
    transaction: (work, options) => db.transaction(work, options),
    ...invitationReads(db),
    ...invitationCounts(),
    ...invitationChanges(db),
  };
}

function fragmentsOf(db: Database) {
  const columns = db.fragment`id, organization, email, role, invited_by, created_at, expires_at`;
  return { columns, open: db.fragment`expires_at > now()` };
}

type Reads = 'list' | 'find' | 'findByEmail' | 'listSentBy' | 'organizationOf';
type Counts = 'countOpen' | 'countRecent' | 'isMember' | 'namesFor' | 'confirmedEmailOf';

function invitationReads(db: Database): Pick<InvitationRepository, Reads> {
  const { columns, open } = fragmentsOf(db);
  return {
    list: (organization, signal) =>
      db.query(
        (sql) => sql<Invitation[]>`
          SELECT ${columns} FROM invitations WHERE organization = ${organization} AND ${open}
          ORDER BY created_at, id LIMIT ${OPEN_INVITATIONS_MAX}`,
        { signal },
      ),
    async find(tx, organization, id) {
      const [found] = await tx.query(
        (sql) => sql<Invitation[]>`
          SELECT ${columns} FROM invitations WHERE id = ${id} AND organization = ${organization} AND ${open}`,
      );
      return found ?? null;
    },
    async findByEmail(tx, organization, email) {
      const [found] = await tx.query(
        (sql) => sql<Invitation[]>`
          SELECT ${columns} FROM invitations
          WHERE organization = ${organization} AND email = ${email} AND ${open}`,
      );
      return found ?? null;
    },
    listSentBy: (tx, organization, sender) =>
      tx.query(
        (sql) => sql<Invitation[]>`
          SELECT ${columns} FROM invitations
          WHERE organization = ${organization} AND invited_by = ${sender} AND ${open}
          LIMIT ${OPEN_INVITATIONS_MAX}`,
      ),
    async organizationOf(tx, secretHash) {
      const [found] = await tx.query(
        (sql) => sql<{ organization: string }[]>`
          SELECT organization FROM invitations WHERE secret_hash = ${secretHash as Buffer} AND ${open}`,
      );
      return found?.organization ?? null;
    },
  };
}

function invitationCounts(): Pick<InvitationRepository, Counts> {
  return {
    async countOpen(tx, organization) {
      const [row] = await tx.query(
        (sql) => sql<[{ count: number }]>`
          SELECT count(*)::int AS count FROM invitations
          WHERE organization = ${organization} AND expires_at > now()`,
      );
      return row.count;
    },
    async countRecent(tx, organization) {
      // The audit log has those, too, that were withdrawn or accepted.
      const [row] = await tx.query(
        (sql) => sql<[RecentInvitations]>`
          SELECT count(*)::int AS count,
                 ceil(extract(epoch FROM min(occurred_at) + interval '1 hour' - now()))::int AS free_in_seconds
          FROM (SELECT occurred_at FROM audit_entries
                WHERE organization = ${organization} AND action = 'invitation.created'
                  AND occurred_at > now() - interval '1 hour'
                ORDER BY occurred_at DESC LIMIT ${HOURLY_INVITATIONS_MAX}) recent`,
      );
      return row;
    },
    async isMember(tx, organization, email) {
      const rows = await tx.query(
        (sql) => sql`
          SELECT FROM users u JOIN memberships m ON m.user_id = u.id
          WHERE u.email = ${email} AND m.organization = ${organization}`,
      );
      return rows.length > 0;
    },
    async namesFor(tx, organization, userId) {
      const [row] = await tx.query(
        (sql) => sql<[{ organization: string; inviter: string | null }]>`
          SELECT coalesce((SELECT name FROM organizations WHERE id = ${organization}), ${organization}) AS organization,
                 (SELECT email FROM users WHERE id = ${userId}) AS inviter`,
      );
      return row;
    },
    async confirmedEmailOf(tx, userId) {
      const [user] = await tx.query(
        (sql) => sql<{ email: string }[]>`
          SELECT email FROM users WHERE id = ${userId} AND confirmed_at IS NOT NULL`,
      );
      return user?.email ?? null;
    },
  };
}

function invitationChanges(db: Database): Omit<InvitationRepository, 'transaction' | Reads | Counts> {
  const { columns, open } = fragmentsOf(db);
  return {
    async save(tx, { id, organization, email, role, invitedBy, secretHash }) {
      const [saved] = await tx.query(
        (sql) => sql<[Invitation]>`
          INSERT INTO invitations (id, organization, email, role, secret_hash, invited_by, expires_at)
          VALUES (${id}, ${organization}, ${email}, ${role}, ${secretHash as Buffer}, ${invitedBy},
                  least(now() + make_interval(days => ${INVITATION_DAYS}),
                        (SELECT k.expires_at FROM api_keys k WHERE k.id = ${invitedBy})))
          ON CONFLICT (organization, email) DO UPDATE SET id = excluded.id, role = excluded.role,
            secret_hash = excluded.secret_hash, invited_by = excluded.invited_by,
            created_at = excluded.created_at, expires_at = excluded.expires_at
          RETURNING ${columns}`,
      );
      return saved;
    },
    async remove(tx, id) {
      await tx.query((sql) => sql`DELETE FROM invitations WHERE id = ${id}`);
    },
    async take(tx, organization, secretHash, email) {
      const [taken] = await tx.query(
        (sql) => sql<Invitation[]>`
          DELETE FROM invitations
          WHERE organization = ${organization} AND secret_hash = ${secretHash as Buffer} AND email = ${email}
            AND ${open}
          RETURNING ${columns}`,
      );
      return taken ?? null;
    },
    record: (tx, actor, did, { id, organization, email, role, expiresAt }) => {
      const content = { email, role, expiresAt };
      return recordAudit(tx, actor, {
        action: `invitation.${did}`,
        organization,
        target: { type: 'invitation', id },
        ...(did === 'created' ? { after: content } : { before: content }),
      });
    },
    async forgetExpired() {
      for (let count = FORGET_ROWS_MAX; count === FORGET_ROWS_MAX; ) {
        ({ count } = await db.query(
          (sql) => sql`
          DELETE FROM invitations WHERE id = ANY (ARRAY(
            SELECT id FROM invitations WHERE expires_at < now() ORDER BY expires_at LIMIT ${FORGET_ROWS_MAX}))`,
        ));
      }
    },
  };
}
