import { afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Mail, MailError, type Mailer } from '../../../src/adapters/mail/mailer.ts';
import { smtpAccess } from '../../../src/adapters/mail/smtp-access.ts';
import { type SmtpMailerOptions, smtpMailer } from '../../../src/adapters/mail/smtp-mailer.ts';
import { AtlasError } from '../../../src/errors.ts';
import { canCertify, certify, type TestCertificate } from '../../support/certificates.ts';
import { never, startTestSmtp, type TestSmtp, type TestSmtpOptions } from '../../support/smtp-server.ts';
import { until } from '../../support/until.ts';

const NEVER = new AbortController().signal;
const LOGIN = { user: 'atlas@example.com', password: 'p@ss/w:rd ü' };

let smtp: TestSmtp | undefined;
let mailer: Mailer | undefined;
afterEach(async () => {
  mailer?.close();
  await smtp?.stop();
  smtp = mailer = undefined;
});

async function start(options: TestSmtpOptions = {}): Promise<TestSmtp> {
  smtp = await startTestSmtp(options);
  return smtp;
}

/** `settings` are those of the mail server, and `options` those of the mailer. */
function open(
  settings: { url: string; user?: string; password?: string; caFile?: string },
  options: Partial<SmtpMailerOptions> = {},
): Mailer {
  const { url, user, password, caFile } = settings;
  const access = { SMTP_URL: url, SMTP_USER: user, SMTP_PASSWORD: password, SMTP_CA_FILE: caFile };
  mailer = smtpMailer({
    access: smtpAccess(access),
    from: { name: '', address: 'no-reply@atlas.test' },
    failureThreshold: 5,
    recoveryTimeoutMs: 60_000,
    ...options,
  });
  return mailer;
}

const mailOf = (): Mail => ({
  id: crypto.randomUUID(),
  recipient: 'ada@example.com',
  subject: 'Confirm your address',
  text: 'https://atlas.test/confirm?token=secret',
  createdAt: new Date(),
});

async function failureOf(work: Promise<unknown>): Promise<Error> {
  return work.then(
    () => new Error('nothing was thrown'),
    (error) => error,
  );
}

/** Returns everything that a log line has of an error. */
const logged = (error: Error) => Bun.inspect(error) + JSON.stringify(Object.entries(error));

describe.if(canCertify())('a mail server with TLS', () => {
  let folder: string;
  let certificate: TestCertificate;
  let caFile: string;
  let otherCaFile: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'atlas-test-smtp-'));
    certificate = await certify(['localhost']);
    caFile = join(folder, 'ca.pem');
    otherCaFile = join(folder, 'other.pem');
    await Bun.write(caFile, certificate.ca);
    await Bun.write(otherCaFile, (await certify(['localhost'])).ca);
    return () => rm(folder, { recursive: true });
  });

  test.each([false, true])(
    'is logged in to after TLS, from the URL and from the settings (smtps: %p)',
    async (startsWithTls) => {
      const { url, received } = await start({ certificate, startsWithTls, login: LOGIN });
      const encoded = `${encodeURIComponent(LOGIN.user)}:${encodeURIComponent(LOGIN.password)}`;
      await open({ url: url.replace('://', `://${encoded}@`), caFile }).send(mailOf(), NEVER);
      mailer?.close();
      await open({ url, ...LOGIN, caFile }).send(mailOf(), NEVER);
      expect(received.map(({ isSecure, user }) => [isSecure, user])).toEqual([
        [true, LOGIN.user],
        [true, LOGIN.user],
      ]);
    },
  );

  test.each([false, true])(
    'gets neither a login nor a mail if its certificate is not accepted (smtps: %p)',
    async (startsWithTls) => {
      const { url, port, received, logins } = await start({ certificate, startsWithTls, login: LOGIN });
      const byAddress = url.replace(`localhost:${port}`, `127.0.0.1:${port}`);
      const cases = [
        [{ url: byAddress, caFile }, 'Set SMTP_URL to a host name of the certificate'],
        [{ url, caFile: otherCaFile }, 'in SMTP_CA_FILE'],
        [{ url }, 'in SMTP_CA_FILE'],
      ] as const;
      for (const [settings, remedy] of cases) {
        const opened = open({ ...settings, ...LOGIN });
        for (const failed of [opened.send(mailOf(), NEVER), opened.check(NEVER)]) {
          const error = await failureOf(failed);
          expect(error).toMatchObject({ code: 'dependency_unavailable' });
          expect((error as AtlasError).remedy).toContain(remedy);
        }
      }
      expect([received, logins]).toEqual([[], []]);
    },
  );

  test('is used with TLS also without a login, and its certificate is verified', async () => {
    const { url, received } = await start({ certificate });
    await open({ url, caFile }).send(mailOf(), NEVER);
    expect(received[0]).toMatchObject({ isSecure: true, user: null });
    expect(await failureOf(open({ url, caFile: otherCaFile }).send(mailOf(), NEVER))).toBeInstanceOf(
      AtlasError,
    );
    expect(received).toHaveLength(1);
  });

  test('that rejects the login gets no mail, and no error has the credentials', async () => {
    const { url, received } = await start({ certificate, login: LOGIN });
    const wrong = { user: LOGIN.user, password: 'guessed-password' };
    const opened = open({ url, ...wrong, caFile });
    const error = await failureOf(opened.send(mailOf(), NEVER));
    expect(error).toMatchObject({ code: 'dependency_unavailable' });
    expect((error as AtlasError).remedy).toContain('SMTP_PASSWORD');
    expect(logged(error)).not.toContain('guessed-password');
    expect(logged(error)).not.toContain(LOGIN.user);
    expect(opened.where).toBe(url);
    expect(received).toEqual([]);
  });
});

describe('a mail server', () => {
  test('without TLS gets no login and no mail if there is a login', async () => {
    const { url, received, logins } = await start({ login: LOGIN });
    const error = await failureOf(open({ url, ...LOGIN }).send(mailOf(), NEVER));
    expect((error as AtlasError).remedy).toContain('STARTTLS');
    expect([received, logins]).toEqual([[], []]);
  });

  test.each([
    ['a recipient', 550, '5.1.1 <ada@example.com>: unknown', 'rejected', '550 5.1.1'],
    ['a recipient', 451, '4.7.1 <ada@example.com>: greylisted', 'deferred', '451 4.7.1'],
    ['a recipient', 503, 'bad sequence', 'deferred', '503'],
    ['a text', 554, '5.7.1 blocked: https://atlas.test/confirm?token=secret', 'rejected', '554 5.7.1'],
    ['a text', 452, 'no space for ada@example.com', 'deferred', '452'],
  ] as const)('that refuses %s with %p %p has %s the mail', async (what, code, text, refusal, status) => {
    const server = await start();
    if (what === 'a recipient') server.onRecipient = () => ({ code, text });
    else server.onMail = () => ({ code, text });
    const opened = open({ url: server.url });
    const error = await failureOf(opened.send(mailOf(), NEVER));
    expect(error).toBeInstanceOf(MailError);
    expect(error).toMatchObject({ refusal, status });
    expect(logged(error)).not.toMatch(/ada@|token|secret/);
    // The server is fine: others are still sent.
    expect(opened.dependency!.state).toBe('closed');
    server.onRecipient = server.onMail = () => null;
    await opened.send(mailOf(), NEVER);
    expect(server.received).toHaveLength(1);
  });

  test.each([
    ['onConnect', 421],
    ['onConnect', 554],
    ['onSender', 550],
    ['onSender', 451],
    ['onRecipient', 421],
    ['onMail', 421],
  ] as const)(
    'whose %s refuses with %p is unavailable, which is not the fault of a mail',
    async (step, code) => {
      const server = await start();
      server[step] = () => ({ code, text: 'no <ada@example.com>' });
      const error = await failureOf(open({ url: server.url }).send(mailOf(), NEVER));
      expect(error).toMatchObject({ name: 'AtlasError', code: 'dependency_unavailable' });
      if (step === 'onRecipient' || step === 'onMail') expect(logged(error)).not.toContain('ada@');
      expect((error as AtlasError).remedy ?? '').toContain(
        step === 'onSender' && code === 550 ? 'MAIL_FROM' : '',
      );
    },
  );

  test.each(['onConnect', 'onSender', 'onRecipient', 'onMail'] as const)(
    'that hangs at %s is given up at the timeout, and at once if the caller stops',
    async (step) => {
      const server = await start();
      server[step] = never;
      const error = await failureOf(open({ url: server.url }, { timeoutMs: 400 }).send(mailOf(), NEVER));
      expect(error).toMatchObject({ code: 'dependency_unavailable' });
      mailer?.close();
      const stop = new AbortController();
      const reason = new Error('stopped');
      const sending = failureOf(open({ url: server.url }).send(mailOf(), stop.signal));
      await until(() => server.connections === 2);
      stop.abort(reason);
      expect(await sending).toBe(reason);
      // Its connection is closed, not abandoned.
      await until(() => server.open === 0);
    },
  );

  test.each(['onSender', 'onRecipient', 'onMail'] as const)(
    'that closes the connection at %s is unavailable',
    async (step) => {
      const server = await start();
      server[step] = () => {
        server.drop();
        return null;
      };
      const error = await failureOf(open({ url: server.url }).send(mailOf(), NEVER));
      expect(error).toMatchObject({ code: 'dependency_unavailable' });
    },
  );

  test('that cannot be reached, resolved, or understood is unavailable', async () => {
    const noise: Server = createServer((socket: Socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await new Promise<void>((resolve) => noise.listen(0, '127.0.0.1', resolve));
    const { port } = noise.address() as { port: number };
    for (const url of ['smtp://127.0.0.1:1', 'smtp://nowhere.invalid', `smtp://127.0.0.1:${port}`]) {
      const opened = open({ url }, { connectMs: 2000 });
      for (const failed of [opened.send(mailOf(), NEVER), opened.check(NEVER)])
        expect(await failureOf(failed)).toMatchObject({ code: 'dependency_unavailable' });
      opened.close();
    }
    noise.close();
  });

  test('that is unavailable is not contacted again until it is back', async () => {
    const { port, stop } = await start();
    const opened = open({ url: `smtp://localhost:${port}` }, { failureThreshold: 3, checkedMs: 300 });
    await stop();
    for (let i = 0; i < 3; i++) await failureOf(opened.send(mailOf(), NEVER));
    expect(opened.dependency!.state).toBe('open');
    const error = await failureOf(opened.send(mailOf(), NEVER));
    expect(error.cause).toMatchObject({ name: 'BreakerOpen' });
    const back = await start({ port });
    await until(() => opened.dependency!.state === 'closed');
    await opened.send(mailOf(), NEVER);
    expect(back.received).toHaveLength(1);
  });

  test('is not logged in to for each of many health checks', async () => {
    const server = await start();
    const opened = open({ url: server.url });
    for (let i = 0; i < 20; i++) await opened.dependency!.ping();
    expect(server.connections).toBe(1);
  });
});
