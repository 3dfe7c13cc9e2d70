import { recordAudit } from '../../../adapters/postgres/audit.ts';
import type { Queryable } from '../../../adapters/postgres/query.ts';
import { AtlasError } from '../../../errors.ts';
import type { Actor } from '../../../utils/actor.ts';
import { hashOneTimeToken } from '../one-time-token.ts';
import type { Role } from '../roles.ts';

// An arbitrary seed for the lock of an organization.
const LOCK_SEED = 5_130_662_871;

/**
 * Makes a user a member, in a transaction that has locked nothing that existed before it. Throws `invitation_invalid`
 * unless the invitation is open and for this address.
 */
export async function acceptInvitation(
  tx: Queryable,
  actor: Actor,
  invitee: { readonly userId: string; readonly email: string; readonly token: string },
): Promise<void> {
  const { userId, email, token } = invitee;
  const hash = hashOneTimeToken(token);
  const [open] = await tx.query(
    (sql) =>
      sql<{ organization: string }[]>`SELECT organization FROM invitations WHERE secret_hash = ${hash}`,
  );
  if (open === undefined) throw invalid();
  await lockOrganizations(tx, [open.organization]);
  const [invitation] = await tx.query(
    (sql) => sql<{ organization: string; role: Role }[]>`
      DELETE FROM invitations WHERE secret_hash = ${hash} AND email = ${email} AND expires_at > now()
      RETURNING organization, role`,
  );
  if (invitation === undefined) throw invalid();
  const { organization, role } = invitation;
  await tx.query(
    (sql) => sql`
      INSERT INTO memberships (organization, user_id, role) VALUES (${organization}, ${userId}, ${role})
      ON CONFLICT DO NOTHING`,
  );
  const target = { type: 'membership', id: userId };
  await recordAudit(tx, actor, { action: 'membership.created', organization, target, after: { role } });
}

/**
 * Ends all memberships of a user, in a transaction that has locked nothing that existed before it. Throws `last_owner`
 * if an organization would be left without one.
 */
export async function endMemberships(tx: Queryable, actor: Actor, userId: string): Promise<void> {
  const of = await tx.query(
    (sql) => sql<{ organization: string }[]>`SELECT organization FROM memberships WHERE user_id = ${userId}`,
  );
  await lockOrganizations(
    tx,
    of.map(({ organization }) => organization),
  );
  const ended = await tx.query(
    (sql) => sql<{ organization: string; role: Role; isLast: boolean }[]>`
      DELETE FROM memberships m WHERE user_id = ${userId} RETURNING organization, role,
        role = 'owner' AND NOT EXISTS (
          SELECT FROM memberships o
          WHERE o.organization = m.organization AND o.role = 'owner' AND o.user_id <> m.user_id) AS is_last`,
  );
  const left = ended.find(({ isLast }) => isLast);
  if (left !== undefined)
    throw new AtlasError('last_owner', `You are the only owner of the organization ${left.organization}.`);
  for (const { organization, role } of ended) {
    const target = { type: 'membership', id: userId };
    await recordAudit(tx, actor, { action: 'membership.removed', organization, target, before: { role } });
  }
}

/** In the same order everywhere, so that two transactions never wait for each other. */
async function lockOrganizations(tx: Queryable, organizations: readonly string[]): Promise<void> {
  for (const organization of [...new Set(organizations)].sort())
    await tx.query(
      (sql) => sql`SELECT pg_advisory_xact_lock(hashtextextended(${organization}, ${LOCK_SEED}))`,
    );
}

const invalid = () =>
  new AtlasError('invitation_invalid', 'There is no open invitation with this token for your address.');
