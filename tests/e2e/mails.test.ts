import { afterEach, beforeEach, expect, test } from 'bun:test';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Database } from '../../src/adapters/postgres/database.ts';
import { openPostgres, type Sql } from '../../src/adapters/postgres/postgres.ts';
import { openSealing } from '../../src/adapters/postgres/secrets-at-rest.ts';
import { createMailRepository } from '../../src/features/identity/mail/repository.ts';
import { createEnqueueMail } from '../../src/features/identity/mail/service.ts';
import { freshDatabase, openTestDatabase } from '../support/database.ts';
import { headerOf, parseMail } from '../support/mail-message.ts';
import { SECRETS_KEY } from '../support/secrets-key.ts';
import { never, startTestSmtp, type TestSmtp } from '../support/smtp-server.ts';
import { until } from '../support/until.ts';
import {
  type AtlasProcess,
  isAlive,
  makeFolder,
  removeFolder,
  runAtlas,
  startAtlas,
} from './atlas-process.ts';
import { workersOf } from './webhook-hosts.ts';

const TIMEOUT_MS = 120_000;
// A lease lasts for three minutes, and a mail whose process is known to be dead must not wait for it.
const LEASE_MS = 180_000;
const PASSWORD = 'a-password-that-nobody-may-see';

let smtp: TestSmtp;
let databaseUrl: string;
let database: Database;
let sql: Sql;
let folder: string;
let hosts: AtlasProcess[];
beforeEach(async () => {
  smtp = await startTestSmtp();
  databaseUrl = await freshDatabase();
  database = openTestDatabase(databaseUrl);
  sql = openPostgres({ url: databaseUrl, connectionsMax: 1, timeoutSeconds: 10 });
  folder = await makeFolder();
  hosts = [];
}, TIMEOUT_MS);
afterEach(async () => {
  await Promise.all(hosts.map((host) => host.end('SIGKILL')));
  await smtp.stop();
  await Promise.all([database.end(), sql.end()]);
  await removeFolder(folder);
}, TIMEOUT_MS);

async function start(settings: Record<string, string>): Promise<AtlasProcess> {
  const host = await startAtlas(folder, { DATABASE_URL: databaseUrl, SECRETS_KEY, ...settings });
  hosts.push(host);
  return host;
}

const withSmtp = () => ({ SMTP_URL: smtp.url, MAIL_FROM: 'Atlas <no-reply@atlas.test>' });

/** Adds a mail to the outbox, as a feature of a host does. */
async function enqueue(recipient: string): Promise<void> {
  const sealing = openSealing({ ENVIRONMENT: 'staging', SECRETS_KEY, SECRETS_FORMER_KEYS: [] });
  const repository = createMailRepository(database, {
    hold: async () => 'test',
    canJudge: async () => false,
  });
  const add = createEnqueueMail(repository, sealing, { recipient: 0, organization: 0, pending: 0 });
  const expiresAt = new Date(Date.now() + 3_600_000);
  const mail = { recipient, organization: '', subject: 'Grüße ✓', text: 'token=secret', expiresAt };
  await database.transaction((tx) => add(tx, mail));
}

const idsOf = (raws: readonly string[]) => raws.map((raw) => headerOf(parseMail(raw), 'message-id'));
const ended = (state: string, count: number) =>
  until(
    async () => (await sql`SELECT FROM mails WHERE state = ${state} AND content IS NULL`).count === count,
  );

test.each([
  [1, 'its successor'],
  [2, 'another worker'],
] as const)(
  'a mail whose worker is killed after the server has it, of %p workers, is sent again by %p with the same Message-ID',
  async (workers) => {
    const host = await start({ ...withSmtp(), ENVIRONMENT: 'staging', API_WORKERS: `${workers}` });
    const [runner] = await workersOf(host);
    const accepted: string[] = [];
    smtp.onMail = async ({ raw }) => {
      smtp.onMail = ({ raw: later }) => {
        accepted.push(later);
        return null;
      };
      accepted.push(raw);
      // The server has the mail, and its reply never arrives.
      process.kill(runner!, 'SIGKILL');
      await until(() => !isAlive(runner!));
      return never();
    };
    const startMs = performance.now();
    await enqueue('ada@example.com');
    await until(() => accepted.length === 2);
    expect(performance.now() - startMs).toBeLessThan(LEASE_MS / 2);
    await ended('sent', 1);
    expect(accepted[1]).toBe(accepted[0]!);
    // No other mail is affected, and this one is not sent a third time.
    await enqueue('eve@example.com');
    await ended('sent', 2);
    expect(new Set(idsOf(accepted)).size).toBe(2);
    expect(accepted).toHaveLength(3);
    expect(host.output()).toContain('they may arrive twice, with the same Message-ID');
    expect(host.output()).not.toMatch(/ada@|token=/);
  },
  TIMEOUT_MS,
);

test(
  'without a mail server, the log names the file of each mail',
  async () => {
    const host = await start({ ENVIRONMENT: 'development', API_WORKERS: '1' });
    await enqueue('ada@example.com');
    await until(() => host.output().includes('mail to a…@example.com: Grüße ✓ → '));
    await ended('sent', 1);
    const outbox = join(folder, 'data', 'outbox');
    const [file] = await readdir(outbox);
    expect(host.output()).toContain(join(outbox, file!));
    expect(parseMail(await readFile(join(outbox, file!), 'utf8')).text).toBe('token=secret');
  },
  TIMEOUT_MS,
);

test(
  'doctor says whether mails can be sent, and no command prints the password',
  async () => {
    const login = `atlas:${PASSWORD}@`;
    const settings = { DATABASE_URL: databaseUrl, SECRETS_KEY, ENVIRONMENT: 'staging' };
    const doctor = async (more: Record<string, string>) => {
      const { stdout, stderr } = await runAtlas(folder, ['doctor', '--json'], { ...settings, ...more });
      expect(stdout + stderr).not.toContain(PASSWORD);
      const report = JSON.parse(stdout);
      const part = report.parts.find((found: { part: string }) => found.part === 'mail');
      return {
        ...part,
        remarks: [...report.problems, ...report.notes].filter((text) => /mail|SMTP/i.test(text)),
      };
    };
    expect(await doctor(withSmtp())).toMatchObject({ mode: 'SMTP', remarks: [] });
    expect((await doctor({})).remarks.join()).toContain('Set SMTP_URL');
    const withoutTls = await doctor({ ...withSmtp(), SMTP_URL: smtp.url.replace('://', `://${login}`) });
    expect(withoutTls.where).toBe(smtp.url);
    expect(withoutTls.remarks.join()).toContain('STARTTLS');
    expect(smtp.logins).toEqual([]);
    await smtp.stop();
    expect((await doctor(withSmtp())).remarks.join()).toContain('SMTP_URL');
    const { stdout } = await runAtlas(folder, ['config'], {
      ...settings,
      ...withSmtp(),
      SMTP_URL: smtp.url.replace('://', `://${login}`),
    });
    expect(stdout).not.toContain(PASSWORD);
    const half = await runAtlas(folder, ['config'], { ...settings, ...withSmtp(), SMTP_PASSWORD: PASSWORD });
    expect(half.code).not.toBe(0);
    expect(half.stderr).toContain('without a user');
    expect(half.stdout + half.stderr).not.toContain(PASSWORD);
  },
  TIMEOUT_MS,
);
