import { afterEach, beforeEach, expect, test } from 'bun:test';
import type { StoredSecrets } from '../../../src/features/stored-secrets.ts';
import { storedSecretsOf } from '../../../src/features/stored-secrets.ts';
import { generateKey } from '../../../src/utils/sealing.ts';
import { freshDatabase } from '../../support/database.ts';
import {
  codeOf,
  createTwoFactorUser,
  forgetStep,
  ownFactor,
  signInWithCode,
} from '../../support/factor-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { createUser, PASSWORD, passwordHash } from '../../support/user-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

const [KEY, NEXT_KEY] = [generateKey(), generateKey()];
const PRODUCTION = { ENVIRONMENT: 'production', PUBLIC_URL: 'https://atlas.test' };

let url: string;
let apps: TestApp[];
beforeEach(async () => {
  url = await freshDatabase();
  apps = [];
}, START_TIMEOUT_MS);
afterEach(() => Promise.all(apps.map((app) => app.close())));

/** Starts another host on the same database. */
async function host(settings: Record<string, string>): Promise<TestApp> {
  const app = await startTestApp({ DATABASE_URL: url, ...settings });
  apps.push(app);
  return app;
}

const secretsOf = (app: TestApp): StoredSecrets =>
  storedSecretsOf(app.features).find(({ name }) => name === 'second factors')!;

test('outside development, no second factor is set up without a key to seal it: 503 with advice', async () => {
  const app = await host(PRODUCTION);
  const user = await createUser(app, { passwordHash: await passwordHash() });
  const refused = await ownFactor(app, 'POST', user, { password: PASSWORD });
  const { detail } = await expectProblem(app, refused, 503, 'secrets_key_missing');
  expect(detail).toContain('no key to seal secrets');
  expect(app.logs.join('')).toContain('atlas secrets key');
  expect(await app.sql`SELECT FROM users WHERE totp_secret IS NOT NULL`).toHaveLength(0);
});

test('a rotation seals second factors under the new key, and codes go on working without the former one', async () => {
  const former = await host({ ...PRODUCTION, SECRETS_KEY: KEY });
  const user = await createTwoFactorUser(former);
  const both = await host({ ...PRODUCTION, SECRETS_KEY: NEXT_KEY, SECRETS_FORMER_KEYS: KEY });
  expect(await secretsOf(both).count()).toEqual({ total: 1, plain: 0, otherKey: 1 });
  expect(await secretsOf(both).sealStep(null)).toEqual({ sealed: 1, failed: [], nextId: null });
  const next = await host({ ...PRODUCTION, SECRETS_KEY: NEXT_KEY });
  expect(await secretsOf(next).count()).toEqual({ total: 1, plain: 0, otherKey: 0 });
  expect((await signInWithCode(next, user.email, codeOf(user.secret))).status).toBe(201);
});

test('a host without the key refuses codes with 503, lets nobody in, and accepts recovery codes', async () => {
  const user = await createTwoFactorUser(await host({ ...PRODUCTION, SECRETS_KEY: KEY }));
  const other = await host({ ...PRODUCTION, SECRETS_KEY: NEXT_KEY });
  const refused = await signInWithCode(other, user.email, codeOf(user.secret));
  await expectProblem(other, refused, 503, 'secrets_key_missing');
  expect((await signInWithCode(other, user.email, user.recoveryCodes[0]!)).status).toBe(201);
});

test('the record of one user opens for no other, even if somebody writes it into the database', async () => {
  const app = await host({ ...PRODUCTION, SECRETS_KEY: KEY });
  const [mine, theirs] = [await createTwoFactorUser(app), await createTwoFactorUser(app)];
  await app.sql`UPDATE users SET totp_secret = (SELECT totp_secret FROM users WHERE id = ${mine.id})
    WHERE id = ${theirs.id}`;
  const refused = await signInWithCode(app, theirs.email, codeOf(mine.secret));
  await expectProblem(app, refused, 503, 'secrets_key_missing');
  await forgetStep(app, mine);
  expect((await signInWithCode(app, mine.email, codeOf(mine.secret))).status).toBe(201);
});
