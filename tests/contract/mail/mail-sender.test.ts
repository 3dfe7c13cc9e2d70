import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { Incarnation } from '../../../src/adapters/postgres/incarnation.ts';
import { createMailRepository } from '../../../src/features/identity/mail/repository.ts';
import { headerOf, parseMail } from '../../support/mail-message.ts';
import { enqueueMail, runMails, storedMails } from '../../support/mail-steps.ts';
import { SECRETS_KEY } from '../../support/secrets-key.ts';
import { never, startTestSmtp, type TestSmtp } from '../../support/smtp-server.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';

let smtp: TestSmtp;
let atlas: TestApp;
let stop: () => Promise<void>;
beforeEach(async () => {
  smtp = await startTestSmtp();
  atlas = await startTestApp({
    SECRETS_KEY,
    SMTP_URL: smtp.url,
    MAIL_FROM: 'Atlas <no-reply@atlas.test>',
    CIRCUIT_BREAKER_FAILURE_THRESHOLD: '3',
  });
  stop = async () => {};
}, START_TIMEOUT_MS);
afterEach(async () => {
  await stop();
  await atlas.close();
  await smtp.stop();
});

const run = () => {
  stop = runMails(atlas);
};
const dueNow = () => atlas.sql`UPDATE mails SET next_attempt_at = now() WHERE leased_until IS NULL`;
const ended = (state: string) =>
  until(async () => (await storedMails(atlas)).every((mail) => mail.state === state));
const metricOf = async (pattern: RegExp) => pattern.exec(await atlas.registry.metrics())?.[1];

describe('the sender of mails', () => {
  test('sends each mail once, and deletes its subject and text', async () => {
    run();
    for (let i = 0; i < 20; i++) await enqueueMail(atlas, { recipient: `r${i}@example.com` });
    await smtp.arrived(20);
    await ended('sent');
    expect(smtp.received.map(({ to }) => to[0]).sort()).toEqual(
      Array.from({ length: 20 }, (_, i) => `r${i}@example.com`).sort(),
    );
    const mails = await storedMails(atlas);
    expect(
      mails.every(({ content, failure, attempts }) => content === null && failure === null && attempts === 1),
    ).toBe(true);
    const ids = smtp.received.map(({ raw }) => headerOf(parseMail(raw), 'message-id'));
    expect(ids.sort()).toEqual(mails.map(({ id }) => `<${id}@atlas.test>`).sort());
    expect(await metricOf(/^atlas_mail_attempts_total\{outcome="sent"\} (\d+)$/m)).toBe('20');
  });

  test('gives up a mail that the server rejects: visibly, at once, and without its address or text in the log', async () => {
    smtp.onRecipient = () => ({ code: 550, text: '5.1.1 <ada@example.com> unknown' });
    run();
    await enqueueMail(atlas);
    await ended('failed');
    expect(await storedMails(atlas)).toMatchObject([
      { failure: 'rejected 550 5.1.1', content: null, attempts: 1 },
    ]);
    expect(await metricOf(/^atlas_mails_given_up_total\{reason="rejected"\} (\d+)$/m)).toBe('1');
    const line = atlas.logs.find((text) => text.includes('a mail was given up'))!;
    expect(line).toContain('a…@example.com');
    expect(atlas.logs.join('')).not.toMatch(/ada@|token|Confirm your/);
  });

  test('tries a mail again that the server defers, later each time, under the same Message-ID', async () => {
    const seen: string[] = [];
    smtp.onMail = ({ raw }) => {
      seen.push(headerOf(parseMail(raw), 'message-id'));
      return seen.length < 3 ? { code: 451, text: '4.3.0 later' } : null;
    };
    run();
    await enqueueMail(atlas);
    for (const attempts of [1, 2]) {
      await until(async () => {
        const recorded = await atlas.sql`
          SELECT FROM mails WHERE attempts = ${attempts} AND leased_until IS NULL AND failure = 'deferred 451 4.3.0'`;
        return recorded.count === 1;
      });
      const [row] = await atlas.sql<{ wait: number }[]>`
        SELECT extract(epoch FROM next_attempt_at - now())::float8 AS wait FROM mails`;
      expect(row!.wait).toBeGreaterThan(attempts === 1 ? 2 : 8);
      await dueNow();
    }
    await ended('sent');
    expect(new Set(seen).size).toBe(1);
    expect(seen).toHaveLength(3);
  });

  test('gives up a mail that has expired, also while the mail server is unavailable', async () => {
    smtp.onConnect = () => ({ code: 421, text: 'closed' });
    await enqueueMail(atlas, { expiresAt: new Date(Date.now() + 500) });
    run();
    await ended('failed');
    expect((await storedMails(atlas))[0]!.content).toBeNull();
    expect(smtp.received).toEqual([]);
  });

  test('sends what expires first before what expires later', async () => {
    for (let i = 0; i < 20; i++)
      await enqueueMail(atlas, {
        recipient: `r${i}@example.com`,
        expiresAt: new Date(Date.now() + 86_400_000),
      });
    await enqueueMail(atlas, { recipient: 'soon@example.com', expiresAt: new Date(Date.now() + 600_000) });
    run();
    await smtp.arrived(21);
    expect(smtp.received.slice(0, 8).flatMap(({ to }) => to)).toContain('soon@example.com');
  });

  test('contacts an unavailable server no more than it must, keeps the mails, and sends them when it is back', async () => {
    await smtp.stop();
    for (let i = 0; i < 12; i++) await enqueueMail(atlas, { recipient: `r${i}@example.com` });
    run();
    await until(() => atlas.deps.mailer.dependency!.state === 'open');
    const health = await (await atlas.call('GET', '/health/deep')).json();
    expect(health.status).toBe('degraded');
    expect(health.dependencies).toContainEqual(
      expect.objectContaining({ name: 'mail', status: 'unhealthy', breaker: 'open' }),
    );
    const tried = (await storedMails(atlas)).reduce((sum, { tries }) => sum + tries, 0);
    expect(tried).toBeLessThan(12);
    await until(() => atlas.logs.some((line) => line.includes('The mail server cannot be used.')));
    expect((await storedMails(atlas)).every(({ state }) => state === 'pending')).toBe(true);
    const { port } = smtp;
    smtp = await startTestSmtp({ port });
    await dueNow();
    await until(
      async () => {
        await dueNow();
        return smtp.received.length >= 12;
      },
      { deadlineMs: 90_000, pollMs: 200 },
    );
    await ended('sent');
  }, 120_000);

  test('waits for a key that this host does not have, and counts no attempt', async () => {
    await enqueueMail(atlas);
    await atlas.sql`UPDATE mails SET content = ${`v1.${'A'.repeat(11)}.${'A'.repeat(16)}.${'A'.repeat(40)}`}`;
    run();
    await until(
      async () =>
        (await metricOf(/^atlas_mail_attempts_total\{outcome="secret_unavailable"\} (\d+)$/m)) === '1',
    );
    await until(async () => (await atlas.sql`SELECT FROM mails WHERE leased_until IS NULL`).count === 1);
    expect(await storedMails(atlas)).toMatchObject([{ state: 'pending', tries: 0 }]);
    expect(smtp.connections).toBe(0);
  });

  test('when it stops, leaves a mail that the server has not accepted to the next one', async () => {
    smtp.onMail = never;
    run();
    await enqueueMail(atlas);
    await until(() => smtp.open === 1);
    await stop();
    expect(await storedMails(atlas)).toMatchObject([{ state: 'pending', attempts: 1, tries: 0 }]);
    smtp.onMail = () => null;
    run();
    await smtp.arrived(1);
    await ended('sent');
  });

  test('frees the mails of a process that died, says that they may arrive twice, and ignores its late result', async () => {
    await enqueueMail(atlas);
    const dying = new Incarnation(atlas.deps.database, 'dying');
    const lost = createMailRepository(atlas.deps.database, dying);
    const [claim] = await lost.claim(1, new AbortController().signal);
    run();
    await dying.close();
    await smtp.arrived(1);
    await ended('sent');
    expect(await lost.settle(claim!, { state: 'failed', waitMs: 0, failure: 'rejected' })).toBe(false);
    expect(await storedMails(atlas)).toMatchObject([{ state: 'sent', attempts: 2 }]);
    expect(atlas.logs.join('')).toContain('they may arrive twice');
    expect(await metricOf(/^atlas_mails_freed_total (\d+)$/m)).toBe('1');
  });
});
