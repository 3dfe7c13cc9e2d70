import { Secret, TOTP } from 'otpauth';
import type { TestApp } from './test-app.ts';
import {
  bearer,
  createUser,
  mailsTo,
  PASSWORD,
  passwordHash,
  signIn,
  type TestUser,
  visit,
} from './user-steps.ts';

/** A user with a password and a second factor. */
export interface TwoFactorUser extends TestUser {
  /** The secret of the authenticator app, in base32. */
  readonly secret: string;
  readonly recoveryCodes: readonly string[];
}

/** Returns the code of an authenticator app, now or some steps of 30 s later. */
export function codeOf(secret: string, steps = 0): string {
  const totp = new TOTP({ secret: Secret.fromBase32(secret) });
  return totp.generate({ timestamp: Date.now() + steps * 30_000 });
}

/** Sends a request about the own second factor of a user. */
export const ownFactor = (
  atlas: TestApp,
  method: string,
  { token }: Pick<TestUser, 'token'>,
  json: object,
  path = '',
) => visit(atlas, method, `/v1/users/me/totp${path}`, { json, headers: bearer(token) });

/** Turns the second factor of a user off. */
export const removeFactor = (atlas: TestApp, user: Pick<TestUser, 'token'>, json: object) =>
  ownFactor(atlas, 'POST', user, json, '/remove');

/** Creates a user who can sign in with {@link PASSWORD} and a code. The step of the first code can be used again. */
export async function createTwoFactorUser(atlas: TestApp, email?: string): Promise<TwoFactorUser> {
  const user = await createUser(atlas, { ...(email && { email }), passwordHash: await passwordHash() });
  const enrolled = await ownFactor(atlas, 'POST', user, { password: PASSWORD });
  const { secret } = (await enrolled.json()) as { secret: string };
  const confirmed = await ownFactor(atlas, 'PUT', user, { code: codeOf(secret) });
  const { recoveryCodes } = (await confirmed.json()) as { recoveryCodes: string[] };
  await forgetStep(atlas, user);
  return { ...user, secret, recoveryCodes };
}

/** Lets a test use a code of now, although it has used one: as if 30 seconds had passed. */
export async function forgetStep({ sql }: Pick<TestApp, 'sql'>, { id }: Pick<TestUser, 'id'>): Promise<void> {
  await sql`UPDATE users SET totp_step = 0 WHERE id = ${id}`;
}

let homes = 0;
const addresses = new Map<string, string>();

/** Signs in with a code. Each person does so at home, so that what one does wrong is not counted for the others. */
export function signInWithCode(
  atlas: Pick<TestApp, 'fetch'>,
  email: string,
  code: string,
  password = PASSWORD,
): Promise<Response> {
  if (!addresses.has(email)) addresses.set(email, `198.51.100.${++homes}`);
  return signIn(atlas, email, password, { json: { code }, address: addresses.get(email)! });
}

/** The subjects of the mails to an address, oldest first. */
export const subjectsTo = async (atlas: TestApp, email: string) =>
  (await mailsTo(atlas, email)).map(({ subject }) => subject);

/** What was done to the second factor of a user, as the audit log says. */
export const factorAuditOf = ({ sql }: TestApp, userId: string) => sql`
  SELECT action, actor FROM audit_entries
  WHERE target_id = ${userId} AND action LIKE 'second_factor.%' ORDER BY id`;
