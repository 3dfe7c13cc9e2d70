import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { PASSWORD, visit } from '../../support/user-steps.ts';

// The lock that every batch of transfers takes.
const POSTING = '5703951129318914';
const DEADLINE_MS = 10_000;
let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp({ SIGN_UP: 'open' });
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

/** Runs work while another transaction holds the lock of posting. Work that waits for it never ends. */
async function whilePosting(work: () => Promise<Response>): Promise<number> {
  const release = Promise.withResolvers<void>();
  const isHeld = Promise.withResolvers<void>();
  const holding = atlas.sql.begin(async (tx) => {
    await tx`SELECT pg_advisory_xact_lock(${POSTING}::bigint)`;
    isHeld.resolve();
    await release.promise;
  });
  await isHeld.promise;
  const late = setTimeout(release.resolve, DEADLINE_MS);
  const running = work().then(({ status }) => status);
  const status = await Promise.race([running, release.promise.then(() => 0)]);
  clearTimeout(late);
  release.resolve();
  await Promise.all([holding, running]);
  return status;
}

// Each of these names has the hash of the lock of posting in a function that can be inverted, PostgreSQL's hashtextextended.
describe('a name that a caller chooses takes no lock that payments need:', () => {
  test('an Idempotency-Key', async () => {
    const payer = await atlas.as('payer');
    const headers = { 'Idempotency-Key': 'k0xl)|EgC@8kx>' };
    const [row] = await atlas.sql`
      SELECT hashtextextended(${JSON.stringify(['payer', headers['Idempotency-Key']])}, 6204117905)::text AS hash`;
    expect(row!.hash).toBe(POSTING);
    const open = () => payer.call('POST', '/v1/accounts', { json: { ledger: 'EUR' }, headers });
    expect(await whilePosting(open)).toBe(201);
    expect((await open()).headers.get('idempotency-replayed')).toBe('true');
  });

  test('a mail address', async () => {
    const email = 'kkkkkkkkkkk5&ckchm$?%*wn@e.example';
    const [row] = await atlas.sql`SELECT hashtextextended(${email}, 7719204366)::text AS hash`;
    expect(row!.hash).toBe(POSTING);
    const signUp = () => visit(atlas, 'POST', '/v1/users', { json: { email, password: PASSWORD } });
    expect(await whilePosting(signUp)).toBe(202);
  });
});
