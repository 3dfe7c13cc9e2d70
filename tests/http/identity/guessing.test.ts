import { afterAll, afterEach, beforeAll, describe, expect, spyOn, test } from 'bun:test';
import { passwordThread } from '../../../src/features/identity/password-thread.ts';
import { personIn, startedBy } from '../../support/person-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { bearer, PASSWORD, passwordHash, signIn, tokenFor, visit } from '../../support/user-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());
afterEach(async () => {
  await atlas.sql`DELETE FROM attempts`;
});

const person = personIn(() => atlas);

describe('guessing', () => {
  const guess = (email: string, address: string, password = 'a wrong password') =>
    signIn(atlas, email, password, { address });
  const failFiveTimes = async (email: string, addressOf: (i: number) => string) => {
    for (let i = 0; i < 5; i++) expect((await guess(email, addressOf(i))).status).toBe(401);
  };
  const distributed = (i: number) => `203.0.113.${i}`;

  test.each(['a known', 'an unknown'])(
    'at the account of %s address waits from the fifth failure on, wherever it comes from',
    async (kind) => {
      const email = kind === 'a known' ? (await person()).email : 'nobody.here@example.com';
      await failFiveTimes(email, distributed);
      const response = await guess(email, '203.0.113.99');
      await expectProblem(atlas, response, 429, 'too_many_attempts');
      expect(response.headers.get('retry-after')).toBe('1');
    },
  );

  test('waits twice as long each time, up to 15 minutes, and is forgotten after a day', async () => {
    const { email } = await person();
    await failFiveTimes(email, distributed);
    const waits: number[] = [];
    for (let i = 5; i < 18; i++) {
      await atlas.sql`UPDATE attempts SET next_at = now()`;
      await guess(email, distributed(i));
      waits.push(Number((await guess(email, distributed(i))).headers.get('retry-after')));
    }
    expect(waits).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900]);
    await atlas.sql`UPDATE attempts SET forget_at = now()`;
    await atlas.jobs.find(({ name }) => name === 'delete old attempts to sign in')!.run();
    expect((await guess(email, distributed(1))).status).toBe(401);
  });

  test('by many requests at once gets no more attempts than one after the other', async () => {
    const { email } = await person();
    const statuses: number[] = [];
    for (let i = 0; i < 3; i++) {
      const round = Array.from({ length: 4 }, (_, j) => guess(email, distributed(i * 4 + j)));
      statuses.push(...(await Promise.all(round)).map(({ status }) => status));
    }
    expect(statuses.filter((status) => status === 401)).toHaveLength(5);
  });

  test('does not lock the owner out: a known address has its own count, and sessions go on', async () => {
    const { email, token } = await person({ organization: 'resilient' });
    await startedBy(await guess(email, '192.0.2.77', PASSWORD));
    await failFiveTimes(email, distributed);
    expect((await guess(email, '203.0.113.98', PASSWORD)).status).toBe(429);
    await startedBy(await guess(email, '192.0.2.77', PASSWORD));
    expect((await visit(atlas, 'GET', '/v1/ping', { headers: bearer(token) })).status).toBe(200);
    // What was counted elsewhere still is.
    expect((await guess(email, '203.0.113.97')).status).toBe(429);
  });

  test('from a known address waits as well', async () => {
    const { email } = await person();
    await startedBy(await guess(email, '192.0.2.78', PASSWORD));
    await failFiveTimes(email, () => '192.0.2.78');
    expect((await guess(email, '192.0.2.78', PASSWORD)).status).toBe(429);
  });

  test('is forgiven bit by bit while nothing is tried, so that a network that many people share gets over it', async () => {
    const { email } = await person();
    await failFiveTimes(email, () => '203.0.113.50');
    await atlas.sql`UPDATE attempts SET failures = 60, next_at = now() - interval '10 hours 30 minutes'`;
    expect((await guess(email, '203.0.113.50')).status).toBe(401);
    const left = await atlas.sql`SELECT failures FROM attempts ORDER BY failures`;
    expect(left.map(({ failures }) => failures)).toEqual([19, 19]);
    await atlas.sql`UPDATE attempts SET next_at = now() - interval '30 days'`;
    expect((await guess(email, '203.0.113.50')).status).toBe(401);
    const none = await atlas.sql`SELECT failures FROM attempts ORDER BY failures`;
    expect(none.map(({ failures }) => failures)).toEqual([1, 1]);
  });

  test('is over for somebody who resets the password', async () => {
    const { email } = await person();
    await failFiveTimes(email, distributed);
    await visit(atlas, 'POST', '/v1/users/password-resets', { json: { email } });
    const json = { token: await tokenFor(atlas, email), password: 'another good password' };
    expect((await visit(atlas, 'POST', '/v1/users/password-resets/completions', { json })).status).toBe(204);
    await startedBy(await guess(email, '203.0.113.96', 'another good password'));
  });

  test('at many accounts from one network waits, too, and a right password does not end that', async () => {
    const { email } = await person();
    let tries = 0;
    let response: Response;
    do response = await guess(`guessed${tries}@example.com`, `2001:db8:0:1::${tries.toString(16)}`);
    while (response.status === 401 && ++tries < 40);
    expect([tries, response.status]).toEqual([20, 429]);
    expect((await guess(email, '2001:db8:0:1::ffff', PASSWORD)).status).toBe(429);
    await startedBy(await guess(email, '2001:db8:0:2::1', PASSWORD));
  });

  test('of which too many are in progress from one address is refused, before anything is done', async () => {
    const hash = await passwordHash();
    const verify = spyOn(passwordThread, 'verify').mockImplementation(() => Bun.sleep(300).then(() => false));
    try {
      const tries = Array.from({ length: 8 }, (_, i) => guess(`parallel${i}@example.com`, '192.0.2.90'));
      const statuses = (await Promise.all(tries)).map(({ status }) => status);
      expect(statuses.filter((status) => status === 401)).toHaveLength(4);
      expect(statuses.filter((status) => status === 429)).toHaveLength(4);
    } finally {
      verify.mockRestore();
    }
    expect(hash).not.toBe('');
  });
});
