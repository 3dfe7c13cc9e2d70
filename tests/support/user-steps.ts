import type { Role } from '../../src/features/identity/roles.ts';
import { makeToken } from '../../src/features/identity/token.ts';
import { requestOf } from './api-caller.ts';
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
  readonly passwordHash?: string | undefined;
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

/** A password that can be used. */
export const PASSWORD = 'tulip anchor velvet';

/** How a test visits Atlas as a person does: from an address, with or without a session. */
export interface Visit {
  readonly json?: unknown;
  readonly headers?: Record<string, string>;
  readonly address?: string;
}

/** Sends a request from an address, without a key. */
export async function visit(
  atlas: Pick<TestApp, 'fetch'>,
  method: string,
  path: string,
  { json, headers, address = '192.0.2.1' }: Visit = {},
): Promise<Response> {
  const defaults = { Host: 'atlas.test' };
  const request = new Request(
    `http://atlas.test${path}`,
    requestOf(method, { json, ...(headers && { headers }) }, defaults),
  );
  return atlas.fetch(request, { timeout: () => {}, requestIP: () => ({ address, port: 0 }) });
}

/** Signs in, and returns the response. */
export function signIn(
  atlas: Pick<TestApp, 'fetch'>,
  email: string,
  password = PASSWORD,
  { json, ...more }: Visit = {},
): Promise<Response> {
  return visit(atlas, 'POST', '/v1/sessions', { ...more, json: { email, password, ...(json as object) } });
}

/** A mail that Atlas has to send. */
export interface SentMail {
  readonly subject: string;
  readonly text: string;
}

/** Returns the mails to an address, oldest first. */
export async function mailsTo({ sql, deps }: TestApp, email: string): Promise<SentMail[]> {
  const rows = await sql<{ id: string; content: string }[]>`
    SELECT id, content FROM mails WHERE recipient = ${email} ORDER BY created_at, id`;
  return rows.map(({ id, content }) =>
    JSON.parse(deps.sealing.open(content, { purpose: 'mail', id }).toString()),
  );
}

/** Returns the token in the latest mail to an address. */
export async function tokenFor(atlas: TestApp, email: string): Promise<string> {
  const mails = await mailsTo(atlas, email);
  return /^atlas_once_\S+$/m.exec(mails.at(-1)!.text)![0];
}

/** The hash of {@link PASSWORD}, computed once. */
export const passwordHash = (() => {
  let hash: Promise<string> | undefined;
  return () =>
    (hash ??= Bun.password.hash(PASSWORD, { algorithm: 'argon2id', memoryCost: 19_456, timeCost: 2 }));
})();
