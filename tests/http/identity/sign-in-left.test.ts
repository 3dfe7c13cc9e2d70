import { afterAll, beforeAll, expect, spyOn, test } from 'bun:test';
import { passwordThread } from '../../../src/features/identity/password-thread.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { createUser, PASSWORD, passwordHash, signIn } from '../../support/user-steps.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp({ PUBLIC_URL: 'https://atlas.example.com' });
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

test('a client that leaves while its password waits its turn is no failed request', async () => {
  const { email } = await createUser(atlas, { passwordHash: await passwordHash() });
  const turn = Promise.withResolvers<boolean>();
  const verify = spyOn(passwordThread, 'verify').mockImplementation(() => turn.promise);
  const first = signIn(atlas, email);
  await until(() => verify.mock.calls.length === 1);
  const leaving = new AbortController();
  const second = atlas.fetch(
    new Request('http://atlas.test/v1/sessions', {
      method: 'POST',
      headers: { Host: 'atlas.test', 'Content-Type': 'application/json' },
      body: JSON.stringify({ email, password: PASSWORD }),
      signal: leaving.signal,
    }),
    { timeout: () => {}, requestIP: () => ({ address: '192.0.2.2', port: 0 }) },
  );
  await Bun.sleep(300);
  leaving.abort();
  turn.resolve(true);
  expect((await first).status).toBe(201);
  expect((await second).status).toBe(499);
  expect(atlas.logs.join('')).not.toContain('request failed');
  verify.mockRestore();
});
