import type { Database } from '../../../../adapters/postgres/database.ts';
import { DEMO } from '../../../../utils/demo-data.ts';

// Nobody receives mails there, so nobody can set a password. IANA reserves the domain.
const USERS = [
  { id: DEMO.user, email: 'ada@demo.example', name: 'Ada' },
  { id: DEMO.spareUser, email: 'charles@demo.example', name: 'Charles' },
];
const INVITED = 'mary@demo.example';
// The example must work a year later, too.
const EXPIRES_AT = '2999-12-31';

/**
 * Creates users of the demo data whom nobody can sign in as, members of the organization of the first API key, and an
 * invitation whose token does not exist. What was removed since is not created again, as the users are.
 */
export function createDemoMembers(db: Database): Promise<void> {
  return db.transaction(async (tx) => {
    for (const { id, email, name } of USERS) {
      const created = await tx.query(
        (sql) => sql`
          INSERT INTO users (id, email, name, confirmed_at) VALUES (${id}, ${email}, ${name}, now())
          ON CONFLICT DO NOTHING RETURNING id`,
      );
      if (created.length === 0) return;
      await tx.query(
        (sql) => sql`
          INSERT INTO memberships (organization, user_id, role) VALUES (${DEMO.owner}, ${id}, 'viewer')`,
      );
    }
    await tx.query(
      (sql) => sql`
        INSERT INTO invitations (id, organization, email, role, secret_hash, invited_by, expires_at)
        VALUES (${DEMO.spareInvitation}, ${DEMO.owner}, ${INVITED}, 'viewer', sha256(gen_random_uuid()::text::bytea),
                ${DEMO.key}, ${EXPIRES_AT})`,
    );
  });
}
