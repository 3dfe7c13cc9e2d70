import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { ORGANIZATION_MAILS_MAX, RECIPIENT_MAILS_MAX } from '../../../src/features/identity/mail/domain.ts';
import { availableEngines } from '../../support/database.ts';
import { enqueueMail, storedMails } from '../../support/mail-steps.ts';
import { SECRETS_KEY } from '../../support/secrets-key.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

describe.each(availableEngines())('the outbox of mails on the %s PostgreSQL', (engine) => {
  let atlas: TestApp;
  beforeAll(async () => {
    atlas = await startTestApp({ SECRETS_KEY }, engine);
  }, START_TIMEOUT_MS);
  afterAll(() => atlas.close());
  afterEach(async () => {
    await atlas.sql`DELETE FROM mails`;
  });

  const codeOf = (work: Promise<unknown>) =>
    work.then(
      () => 'accepted',
      (error) => error.code ?? error,
    );

  test('has a mail if and only if the transaction of the change commits', async () => {
    const failed = atlas.deps.database.transaction(async (tx) => {
      const expiresAt = new Date(Date.now() + 60_000);
      const mail = { recipient: 'a@b.test', organization: '', subject: 's', text: 't', expiresAt };
      await atlas.features.identity.enqueueMail(tx, mail);
      throw new Error('rolled back');
    });
    await expect(failed).rejects.toThrow('rolled back');
    expect(await storedMails(atlas)).toEqual([]);
    await enqueueMail(atlas);
    expect(await storedMails(atlas)).toMatchObject([
      { recipient: 'ada@example.com', state: 'pending', attempts: 0 },
    ]);
  });

  test('has neither subject nor text in a readable form', async () => {
    await enqueueMail(atlas);
    const [row] = await atlas.sql`SELECT mails::text AS text, content FROM mails`;
    expect(row!.content).toStartWith('v1.');
    for (const word of ['token', 'secret', 'Confirm'])
      for (const form of [
        word,
        Buffer.from(word).toString('base64').slice(0, -2),
        Buffer.from(word).toString('hex'),
      ])
        expect(row!.text).not.toContain(form);
  });

  test('takes ten mails an hour for one recipient, in whatever case, also from concurrent callers', async () => {
    const spellings = ['ada@example.com', 'Ada@Example.com', 'ADA@EXAMPLE.COM'];
    const codes = await Promise.all(
      Array.from({ length: 30 }, (_, i) => codeOf(enqueueMail(atlas, { recipient: spellings[i % 3]! }))),
    );
    expect(codes.filter((code) => code === 'accepted')).toHaveLength(RECIPIENT_MAILS_MAX);
    expect(codes.filter((code) => code === 'too_many_mails')).toHaveLength(30 - RECIPIENT_MAILS_MAX);
    await enqueueMail(atlas, { recipient: 'eve@example.com' });
    // Sent ones count too, and all of them for an hour.
    await atlas.sql`UPDATE mails SET state = 'sent', content = NULL, ended_at = now()`;
    const error = await enqueueMail(atlas).catch((thrown) => thrown);
    expect(error.code).toBe('too_many_mails');
    expect(error.retryAfterSeconds).toBeGreaterThan(3500);
    expect(error.retryAfterSeconds).toBeLessThanOrEqual(3600);
    await atlas.sql`UPDATE mails SET created_at = now() - interval '61 minutes'`;
    await enqueueMail(atlas);
  });

  test('leaves the transaction usable when it refuses', async () => {
    for (let i = 0; i < RECIPIENT_MAILS_MAX; i++) await enqueueMail(atlas);
    const after = await atlas.deps.database.transaction(async (tx) => {
      const expiresAt = new Date(Date.now() + 60_000);
      const mail = { recipient: 'ada@example.com', organization: '', subject: 's', text: 't', expiresAt };
      expect(await codeOf(atlas.features.identity.enqueueMail(tx, mail))).toBe('too_many_mails');
      return tx.query((sql) => sql`SELECT 1 AS one`);
    });
    expect(after[0]!.one).toBe(1);
  });

  test('is bounded per organization and in all', async () => {
    const fill = (count: number, organization: string) => atlas.sql`
      INSERT INTO mails (id, organization, recipient, content, expires_at)
      SELECT gen_random_uuid(), ${organization}, 'r' || n || '@example.com', 'x', now() + interval '1 hour'
      FROM generate_series(1, ${count}) n`;
    await fill(ORGANIZATION_MAILS_MAX, 'acme');
    expect(await codeOf(enqueueMail(atlas))).toBe('too_many_mails');
    await enqueueMail(atlas, { organization: 'other' });
    // Mails on behalf of no organization share no such limit: nobody could sign in any more.
    await fill(ORGANIZATION_MAILS_MAX, '');
    await enqueueMail(atlas, { organization: '' });
    await fill(10_000, 'filler');
    expect(await codeOf(enqueueMail(atlas, { organization: 'other', recipient: 'new@example.com' }))).toBe(
      'mail_queue_full',
    );
  });

  test.each([
    'ada@example.com\r\nBcc: eve@example.com',
    'ada@example.com\n',
    'ada@example.com, eve@example.com',
    'Ada <ada@example.com>',
    '"a b"@example.com',
    'ada@exa mple.com',
    'ada',
    '@example.com',
    'ada@',
    '',
    'ädä@example.com',
    `${'a'.repeat(65)}@example.com`,
    `a@${'b'.repeat(254)}.com`,
    'ada@example.com>',
    'ada@-example.com',
    'ada@example..com',
    '\u0000ada@example.com',
  ])('takes no recipient like %j', async (recipient) => {
    expect(await codeOf(enqueueMail(atlas, { recipient }))).toBe('invalid_request');
    expect(await storedMails(atlas)).toEqual([]);
  });

  test('is not kept longer than a week after the end', async () => {
    for (const recipient of ['old@example.com', 'new@example.com', 'pending@example.com'])
      await enqueueMail(atlas, { recipient });
    const end = (recipient: string, days: number) => atlas.sql`
      UPDATE mails SET state = 'sent', content = NULL, ended_at = now() - make_interval(days => ${days})
      WHERE recipient = ${recipient}`;
    await end('old@example.com', 8);
    await end('new@example.com', 6);
    await atlas.jobs.find(({ name }) => name === 'delete mails that ended long ago')!.run();
    expect((await storedMails(atlas)).map(({ recipient }) => recipient)).toEqual([
      'new@example.com',
      'pending@example.com',
    ]);
  });

  test('is sealed again under a new key, as far as it is pending', async () => {
    await enqueueMail(atlas);
    await enqueueMail(atlas, { recipient: 'sent@example.com' });
    await atlas.sql`
      UPDATE mails SET state = 'sent', content = NULL, ended_at = now() WHERE recipient = 'sent@example.com'`;
    const key = Buffer.alloc(32, 7).toString('base64');
    const next = await startTestApp({
      SECRETS_KEY: key,
      SECRETS_FORMER_KEYS: SECRETS_KEY,
      DATABASE_URL: atlas.deps.databaseUrl,
    });
    const mails = next.features.identity.secrets.find(({ name }) => name === 'mails')!;
    expect(await mails.count()).toEqual({ total: 1, plain: 0, otherKey: 1 });
    expect(await mails.sealStep(null)).toEqual({ sealed: 1, failed: [], nextId: null });
    expect(await mails.count()).toEqual({ total: 1, plain: 0, otherKey: 0 });
    await next.close();
  });
});

test('outside of development a mail is refused without a key to seal it', async () => {
  const atlas = await startTestApp({ ENVIRONMENT: 'staging' });
  const failed = await enqueueMail(atlas).catch((error) => error);
  expect(failed.code).toBe('secrets_key_missing');
  expect(await storedMails(atlas)).toEqual([]);
  await atlas.close();
});
