import type { Role } from '../../src/features/identity/roles.ts';
import { makeToken } from '../../src/features/identity/token.ts';
import type { TestApp } from './test-app.ts';

let users = 0;

/** A confirmed user with a session, as tests need one who did not sign in. */
export interface TestUser {
  readonly id: string;
  readonly email: string;
  /** The token of the session. */
  readonly token: string;
  /** The public ID of the session. */
  readonly sessionId: string;
}

/** What a test says about a user; the rest is made up. */
export interface UserFacts {
  readonly email?: string;
  /** The Argon2id hash of the password; none by default, so that nobody signs in with one. */
  readonly passwordHash?: string;
  /** The organization and the role in it; no membership by default. */
  readonly organization?: string;
  readonly role?: Role;
}

/** Stores a confirmed user, with a role in an organization if one is named, and a session that acts for it. */
export async function createUser(
  { sql }: Pick<TestApp, 'sql'>,
  { email = `user${++users}@example.com`, passwordHash, organization, role = 'owner' }: UserFacts = {},
): Promise<TestUser> {
  const id = Bun.randomUUIDv7();
  await sql`
    INSERT INTO users (id, email, password_hash, confirmed_at) VALUES (${id}, ${email}, ${passwordHash ?? null}, now())`;
  if (organization !== undefined) await addMember({ sql }, id, organization, role);
  return { id, email, ...(await createSession({ sql }, id, organization)) };
}

/** Makes a user a member of an organization, which exists afterwards. */
export async function addMember(
  { sql }: Pick<TestApp, 'sql'>,
  userId: string,
  organization: string,
  role: Role,
): Promise<void> {
  await sql`INSERT INTO organizations (id, name) VALUES (${organization}, ${organization}) ON CONFLICT DO NOTHING`;
  await sql`INSERT INTO memberships (organization, user_id, role) VALUES (${organization}, ${userId}, ${role})`;
}

/** Stores another session of a user. */
export async function createSession(
  { sql }: Pick<TestApp, 'sql'>,
  userId: string,
  organization = '',
): Promise<Pick<TestUser, 'token' | 'sessionId'>> {
  const { token, id, secretHash } = makeToken('session');
  await sql`
    INSERT INTO sessions (id, secret_hash, user_id, organization, expires_at, address, user_agent)
    VALUES (${id}, ${secretHash}, ${userId}, ${organization}, now() + interval '1 day', '127.0.0.1', 'test')`;
  return { token, sessionId: id };
}

/** The header of a request with this token. */
export const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });
