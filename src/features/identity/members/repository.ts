import { recordAudit } from '../../../adapters/postgres/audit.ts';
import type { Database } from '../../../adapters/postgres/database.ts';
import { rowsWithin, type SizedRow, takePage } from '../../../adapters/postgres/page-of-bytes.ts';
import type { Queryable } from '../../../adapters/postgres/query.ts';
import type { Actor } from '../../../utils/actor.ts';
import type { Role } from '../roles.ts';
import type { Member } from './member.ts';

/** A transaction, which only repositories know how to use. */
export type Tx = Queryable;

/** A position in a list: microseconds since 1970, and the ID of the last user before it. */
export interface MemberPosition {
  readonly joinedUs: string;
  readonly userId: string;
}

/** What was done to a membership, for the audit log. */
export interface MembershipChange {
  readonly did: 'created' | 'changed' | 'removed';
  readonly organization: string;
  readonly userId: string;
  readonly before?: object;
  readonly after?: object;
}

/**
 * Memberships in PostgreSQL. Those that are handed a transaction run in it, and it has locked the organizations that
 * they change: see `Standing`.
 */
export interface MemberRepository {
  transaction: Database['transaction'];
  find(tx: Tx, organization: string, userId: string): Promise<Member | null>;
  /** Lists the members after a position, by when they joined. A page also ends at `PAGE_BYTES_MAX`. */
  list(
    organization: string,
    after: MemberPosition | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<{ members: Member[]; next: MemberPosition | null }>;
  /** Counts the members of an organization, and its owners. */
  count(tx: Tx, organization: string): Promise<{ members: number; owners: number }>;
  /** Returns the roles of a user, by organization. */
  rolesOf(tx: Tx, userId: string): Promise<{ organization: string; role: Role }[]>;
  /** The same, and nobody changes them until the transaction ends. */
  lockRolesOf(tx: Tx, userId: string): Promise<{ organization: string; role: Role }[]>;
  /** Counts the organizations of a user, whom it locks until the transaction ends. Null if there is no such user. */
  countOrganizations(tx: Tx, userId: string): Promise<{ all: number; owned: number } | null>;
  insert(tx: Tx, organization: string, userId: string, role: Role): Promise<void>;
  setRole(tx: Tx, organization: string, userId: string, role: Role): Promise<void>;
  remove(tx: Tx, organization: string, userId: string): Promise<void>;
  record(tx: Tx, actor: Actor, change: MembershipChange): Promise<void>;
}

// About what a member has besides its texts.
const MEMBER_BYTES = 300;

export function createMemberRepository(db: Database): MemberRepository {
  const columns = db.fragment`m.user_id, u.email, u.name, m.role, m.created_at AS joined_at`;
  const joined = db.fragment`memberships m JOIN users u ON u.id = m.user_id`;
  return {
    transaction: (work, options) => db.transaction(work, options),
    async find(tx, organization, userId) {
      const [member] = await tx.query(
        (sql) =>
          sql<
            Member[]
          >`SELECT ${columns} FROM ${joined} WHERE m.organization = ${organization} AND m.user_id = ${userId}`,
      );
      return member ?? null;
    },
    async list(organization, after, limit, signal) {
      const rows = await db.query(
        (sql) => sql<(Member & SizedRow & { joinedUs: string })[]>`
          SELECT *, (extract(epoch FROM joined_at) * 1000000)::bigint::text AS joined_us FROM (${rowsWithin(
            sql,
            {
              source: sql`
              SELECT ${columns} FROM ${joined} WHERE m.organization = ${organization} ${
                after === null
                  ? sql``
                  : sql`AND (m.created_at, m.user_id) >
                      (timestamptz 'epoch' + ${after.joinedUs}::bigint * interval '1 microsecond', ${after.userId})`
              } ORDER BY m.created_at, m.user_id LIMIT ${limit + 1}`,
              order: sql`joined_at, user_id`,
              document: sql`email || name`,
              otherBytes: MEMBER_BYTES,
            },
          )}) page ORDER BY nth`,
        { signal },
      );
      const { page, hasMore } = takePage(rows, limit);
      const last = page.at(-1);
      return {
        members: page,
        next: hasMore ? { joinedUs: last!.joinedUs, userId: last!.userId } : null,
      };
    },
    ...countsOf(),
    ...changesOf(),
  };
}

type Counts = 'count' | 'rolesOf' | 'lockRolesOf' | 'countOrganizations';

function countsOf(): Pick<MemberRepository, Counts> {
  return {
    async count(tx, organization) {
      const [row] = await tx.query(
        (sql) => sql<[{ members: number; owners: number }]>`
          SELECT count(*)::int AS members, (count(*) FILTER (WHERE role = 'owner'))::int AS owners
          FROM memberships WHERE organization = ${organization}`,
      );
      return row;
    },
    rolesOf: (tx, userId) =>
      tx.query(
        (sql) => sql<{ organization: string; role: Role }[]>`
          SELECT organization, role FROM memberships WHERE user_id = ${userId} ORDER BY organization`,
      ),
    lockRolesOf: (tx, userId) =>
      tx.query(
        (sql) => sql<{ organization: string; role: Role }[]>`
          SELECT organization, role FROM memberships WHERE user_id = ${userId} ORDER BY organization FOR UPDATE`,
      ),
    async countOrganizations(tx, userId) {
      const users = await tx.query((sql) => sql`SELECT FROM users WHERE id = ${userId} FOR NO KEY UPDATE`);
      if (users.length === 0) return null;
      // A statement of its own, so that it sees what was stored while this one waited.
      const [row] = await tx.query(
        (sql) => sql<[{ all: number; owned: number }]>`
          SELECT count(*)::int AS all, (count(*) FILTER (WHERE role = 'owner'))::int AS owned
          FROM memberships WHERE user_id = ${userId}`,
      );
      return row;
    },
  };
}

function changesOf(): Pick<MemberRepository, 'insert' | 'setRole' | 'remove' | 'record'> {
  return {
    async insert(tx, organization, userId, role) {
      await tx.query(
        (sql) => sql`
          INSERT INTO memberships (organization, user_id, role) VALUES (${organization}, ${userId}, ${role})`,
      );
    },
    async setRole(tx, organization, userId, role) {
      await tx.query(
        (sql) => sql`
          UPDATE memberships SET role = ${role} WHERE organization = ${organization} AND user_id = ${userId}`,
      );
    },
    async remove(tx, organization, userId) {
      await tx.query(
        (sql) => sql`DELETE FROM memberships WHERE organization = ${organization} AND user_id = ${userId}`,
      );
    },
    record: (tx, actor, { did, organization, userId, before, after }) =>
      recordAudit(tx, actor, {
        action: `membership.${did}`,
        organization,
        target: { type: 'membership', id: userId },
        ...(before && { before }),
        ...(after && { after }),
      }),
  };
}
