import type { Role } from '../../src/features/identity/roles.ts';
import type { TestApp } from './test-app.ts';
import { bearer, createUser, type TestUser } from './user-steps.ts';

/** A member as it is returned. */
export interface MemberResource {
  readonly userId: string;
  readonly email: string;
  readonly name: string;
  readonly role: Role;
  readonly joinedAt: string;
}

/** Sends a request as a user or a key. */
export function callAs(
  atlas: TestApp,
  { token }: { readonly token: string },
  method: string,
  path: string,
  json?: object,
  headers: Record<string, string> = {},
): Promise<Response> {
  const options = { headers: { ...bearer(token), ...headers }, ...(json !== undefined && { json }) };
  return atlas.call(method, path, options);
}

/** Creates an organization with one user of each role. */
export async function createStaff(
  atlas: TestApp,
  organization: string,
): Promise<Readonly<Record<Role, TestUser>>> {
  const [owner, admin, member, viewer] = [
    await createUser(atlas, { organization, role: 'owner' }),
    await createUser(atlas, { organization, role: 'admin' }),
    await createUser(atlas, { organization, role: 'member' }),
    await createUser(atlas, { organization, role: 'viewer' }),
  ];
  return { owner, admin, member, viewer };
}

/** Returns the stored roles of an organization, by user. */
export async function rolesIn({ sql }: TestApp, organization: string): Promise<Record<string, Role>> {
  const rows = await sql<{ userId: string; role: Role }[]>`
    SELECT user_id, role FROM memberships WHERE organization = ${organization}`;
  return Object.fromEntries(rows.map(({ userId, role }) => [userId, role]));
}

interface AuditedChange {
  readonly action: string;
  readonly targetId: string;
  readonly before: object | null;
  readonly after: object | null;
}

/** Returns what the audit log has of an organization: actions, targets, and what changed, oldest first. */
export async function auditOf(
  { sql }: TestApp,
  organization: string,
  type: string,
): Promise<AuditedChange[]> {
  const rows = await sql<AuditedChange[]>`
    SELECT action, target_id, before, after FROM audit_entries
    WHERE organization = ${organization} AND target_type = ${type} ORDER BY id`;
  return [...rows];
}
