import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Mail, Mailer } from '../../../src/adapters/mail/mailer.ts';
import { openMailer } from '../../../src/adapters/mail/open-mailer.ts';
import { headerOf, parseMail } from '../../support/mail-message.ts';
import { startTestSmtp } from '../../support/smtp-server.ts';

interface TestMailer {
  readonly mailer: Mailer;
  /** What was handed over, oldest first. */
  mails(): Promise<readonly string[]>;
  close(): Promise<void>;
}

const NEVER = new AbortController().signal;
const LIMITS = { CIRCUIT_BREAKER_FAILURE_THRESHOLD: 5, CIRCUIT_BREAKER_RECOVERY_TIMEOUT: 60 };
const MAIL_FROM = 'Atlas Münster <no-reply@atlas.test>';
const logs: string[] = [];

async function openFolder(): Promise<TestMailer> {
  const dataDir = await mkdtemp(join(tmpdir(), 'atlas-test-mail-'));
  const folder = join(dataDir, 'outbox');
  return {
    mailer: openMailer({ ATLAS_DATA_DIR: dataDir, MAIL_FROM, ...LIMITS }, (line) => void logs.push(line)),
    async mails() {
      const names = (await readdir(folder)).sort();
      return Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
    },
    close: () => rm(dataDir, { recursive: true }),
  };
}

async function openSmtp(): Promise<TestMailer> {
  const smtp = await startTestSmtp();
  const settings = { SMTP_URL: smtp.url, MAIL_FROM, ATLAS_DATA_DIR: '/nowhere', ...LIMITS };
  const mailer = openMailer(settings, () => {
    throw new Error('A mail was written to a folder.');
  });
  return {
    mailer,
    mails: async () => smtp.received.map(({ raw }) => raw),
    async close() {
      mailer.close();
      await smtp.stop();
    },
  };
}

let count = 0;
const mailOf = (changes: Partial<Mail> = {}): Mail => ({
  id: crypto.randomUUID(),
  recipient: 'ada@example.com',
  subject: 'Confirm your address',
  text: 'https://atlas.test/confirm?token=secret',
  createdAt: new Date(Date.UTC(2026, 0, 2, 3, 4, count++)),
  ...changes,
});

describe.each([
  ['a folder', openFolder],
  ['SMTP', openSmtp],
] as const)('a mailer to %s', (_name, open) => {
  let opened: TestMailer;
  beforeAll(async () => {
    opened = await open();
  });
  afterAll(() => opened.close());

  async function sent(mail: Mail): Promise<string> {
    await opened.mailer.send(mail, NEVER);
    return (await opened.mails()).at(-1)!;
  }

  test('hands over subject, text, sender, recipient, time, and the id as Message-ID', async () => {
    const mail = mailOf({ subject: 'Grüße von Ödön ✓', text: 'Zeile 1\n\n.\n..\nFrom me\nüñí ✓' });
    const message = parseMail(await sent(mail));
    expect(headerOf(message, 'subject')).toBe('Grüße von Ödön ✓');
    expect(message.text).toBe(mail.text);
    expect(headerOf(message, 'from')).toBe('Atlas Münster <no-reply@atlas.test>');
    expect(headerOf(message, 'to')).toBe('ada@example.com');
    expect(new Date(headerOf(message, 'date'))).toEqual(mail.createdAt);
    expect(headerOf(message, 'message-id')).toBe(`<${mail.id}@atlas.test>`);
    expect(headerOf(message, 'auto-submitted')).toBe('auto-generated');
  });

  test('sends plain text only, whatever is in it', async () => {
    const text = `<b>${'x'.repeat(3000)}</b> data:text/html,<i> file:///etc/passwd ${'ü'.repeat(2000)}`;
    const message = parseMail(await sent(mailOf({ text })));
    expect(headerOf(message, 'content-type')).toBe('text/plain; charset=utf-8');
    expect(message.text).toBe(text);
  });

  test('hands over the same bytes for the same mail again, so that it is recognized', async () => {
    const mail = mailOf({ subject: 'Zweimal ✓' });
    expect(await sent(mail)).toBe(await sent(mail));
  });

  test('adds no header and no recipient for a line break in a subject or an address', async () => {
    const names = (raw: string) => parseMail(raw).headers.map(([name]) => name);
    const plain = names(await sent(mailOf()));
    for (const subject of [
      'a\r\nBcc: eve@example.com',
      'a\nBcc: eve@example.com',
      'a\rBcc: b',
      'ü\r\n\r\nx',
    ]) {
      const raw = await sent(mailOf({ subject }));
      expect(names(raw)).toEqual(plain);
      expect(parseMail(raw).text).toContain('token=secret');
    }
    for (const recipient of ['ada@example.com\r\nBcc: eve@example.com', 'ada@example.com, eve@example.com']) {
      const before = await opened.mails();
      const outcome = await opened.mailer.send(mailOf({ recipient }), NEVER).catch((error: Error) => error);
      const added = (await opened.mails()).slice(before.length);
      if (outcome instanceof Error) expect(added).toEqual([]);
      for (const raw of added) expect(names(raw)).toEqual(plain);
    }
  });

  test('hands nothing over if the signal has aborted', async () => {
    const before = (await opened.mails()).length;
    const reason = new Error('stopped');
    const failed = opened.mailer.send(mailOf(), AbortSignal.abort(reason)).catch((error) => error);
    expect(await failed).toBe(reason);
    expect((await opened.mails()).length).toBe(before);
  });

  test('can be checked without sending', async () => {
    const before = (await opened.mails()).length;
    expect(await opened.mailer.check(NEVER)).toBeGreaterThan(0);
    expect((await opened.mails()).length).toBe(before);
  });
});

describe('a mailer to a folder', () => {
  let opened: TestMailer;
  beforeAll(async () => {
    opened = await openFolder();
  });
  afterAll(() => opened.close());

  test('says where each mail is, without its whole address, and only its owner may read it', async () => {
    logs.length = 0;
    await opened.mailer.send(mailOf(), NEVER);
    expect(logs).toHaveLength(1);
    const [, file] = /^mail to a…@example\.com: Confirm your address → (.+\.eml)$/.exec(logs[0]!)!;
    expect(await readFile(file!, 'utf8')).toContain('Subject: Confirm your address');
    expect((await stat(file!)).mode & 0o777).toBe(0o600);
    expect((await stat(opened.mailer.where)).mode & 0o777).toBe(0o700);
  });

  test('has one file for a mail that is repeated', async () => {
    const before = (await readdir(opened.mailer.where)).length;
    const mail = mailOf();
    await opened.mailer.send(mail, NEVER);
    await opened.mailer.send(mail, NEVER);
    expect((await readdir(opened.mailer.where)).length).toBe(before + 1);
  });

  test('keeps the newest thousand', async () => {
    const old = Array.from({ length: 1005 }, (_, i) => `2020-01-01T00-00-00.000Z-${i}.eml`);
    await Promise.all(old.map((name) => Bun.write(join(opened.mailer.where, name), '')));
    await opened.mailer.send(mailOf(), NEVER);
    const left = await readdir(opened.mailer.where);
    expect(left).toHaveLength(1000);
    expect(left.filter((name) => name.startsWith('2026')).length).toBeGreaterThan(0);
  });

  test('that cannot be written says what to do', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'atlas-test-mail-'));
    await Bun.write(join(dataDir, 'outbox'), 'a file');
    const mailer = openMailer({ ATLAS_DATA_DIR: dataDir, ...LIMITS }, () => {});
    for (const failed of [mailer.send(mailOf(), NEVER), mailer.check(NEVER)]) {
      const error = await failed.catch((thrown) => thrown);
      expect(error).toMatchObject({ code: 'dependency_unavailable' });
      expect(error.remedy).toContain('SMTP_URL');
    }
    await rm(dataDir, { recursive: true });
  });
});
