import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { SMTPServer, type SMTPServerSession } from 'smtp-server';
import type { TestCertificate } from './certificates.ts';
import { until } from './until.ts';

/** A mail that the server accepted, or was about to. */
export interface ReceivedMail {
  readonly from: string;
  readonly to: readonly string[];
  /** Headers and text as they were sent. */
  readonly raw: string;
  readonly isSecure: boolean;
  /** Who logged in; null for nobody. */
  readonly user: string | null;
}

/** A reply that refuses a command. */
export interface SmtpReply {
  readonly code: number;
  readonly text: string;
}

type Reply = SmtpReply | null | Promise<SmtpReply | null>;

/** A real SMTP server on loopback. What it does can be changed at any time; null accepts. */
export interface TestSmtp {
  readonly port: number;
  /** `smtp://` or `smtps://`, without a login. */
  readonly url: string;
  readonly received: ReceivedMail[];
  /** Logins that were tried. */
  readonly logins: string[];
  readonly open: number;
  /** How many connections were made. */
  readonly connections: number;
  onConnect: () => Reply;
  onSender: () => Reply;
  onRecipient: (address: string) => Reply;
  onMail: (mail: ReceivedMail) => Reply;
  /** Waits until that many mails have arrived. */
  arrived(count: number): Promise<readonly ReceivedMail[]>;
  /** Closes all connections without a reply. */
  drop(): void;
  stop(): Promise<void>;
}

export interface TestSmtpOptions {
  readonly port?: number;
  /** Offers STARTTLS, or starts with TLS. Without it, there is no TLS. */
  readonly certificate?: TestCertificate;
  readonly startsWithTls?: boolean;
  /** Requires this login. */
  readonly login?: { readonly user: string; readonly password: string };
  readonly host?: string;
}

/** A reply that never comes. */
export const never = (): Promise<null> => new Promise(() => {});

/** Starts a server that accepts every mail. */
export async function startTestSmtp(options: TestSmtpOptions = {}): Promise<TestSmtp> {
  const { certificate, startsWithTls = false, login, host = 'localhost' } = options;
  const received: ReceivedMail[] = [];
  const logins: string[] = [];
  let connections = 0;
  const reply = (run: () => Reply, done: (error?: Error | null) => void) =>
    void Promise.resolve(run()).then((refusal) =>
      done(refusal && Object.assign(new Error(refusal.text), { responseCode: refusal.code })),
    );

  const server = new SMTPServer({
    secure: startsWithTls,
    ...(certificate && { key: certificate.key, cert: certificate.cert }),
    disabledCommands: [...(certificate ? [] : ['STARTTLS']), ...(login ? [] : ['AUTH'])],
    authOptional: login === undefined,
    allowInsecureAuth: certificate === undefined,
    disableReverseLookup: true,
    closeTimeout: 100,
    onConnect(_session, done) {
      connections++;
      reply(() => smtp.onConnect(), done);
    },
    onAuth({ username, password }, _session, done) {
      logins.push(username ?? '');
      if (username === login?.user && password === login?.password) done(null, { user: username });
      else done(Object.assign(new Error(`5.7.8 ${username} is not welcome`), { responseCode: 535 }));
    },
    onMailFrom: (_address, _session, done) => reply(() => smtp.onSender(), done),
    onRcptTo: ({ address }, _session, done) => reply(() => smtp.onRecipient(address), done),
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const mail = mailOf(session, Buffer.concat(chunks).toString());
        reply(async () => {
          const refusal = await smtp.onMail(mail);
          if (refusal === null) received.push(mail);
          return refusal;
        }, done);
      });
    },
  });
  server.on('error', () => {});
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server.server, 'listening');
  const { port } = server.server.address() as AddressInfo;

  const smtp: TestSmtp = {
    port,
    url: `${startsWithTls ? 'smtps' : 'smtp'}://${host}:${port}`,
    received,
    logins,
    get open() {
      return server.connections.size;
    },
    get connections() {
      return connections;
    },
    onConnect: () => null,
    onSender: () => null,
    onRecipient: () => null,
    onMail: () => null,
    async arrived(count) {
      await until(() => received.length >= count, { what: `${count} mails have arrived` });
      return received;
    },
    drop() {
      for (const connection of server.connections)
        (connection as unknown as { _socket: { destroy(): void } })._socket.destroy();
    },
    async stop() {
      smtp.drop();
      await new Promise<void>((resolve) => server.close(resolve));
    },
  };
  return smtp;
}

function mailOf({ envelope, secure, user }: SMTPServerSession, raw: string): ReceivedMail {
  const { mailFrom, rcptTo } = envelope;
  return {
    from: mailFrom === false ? '' : mailFrom.address,
    to: rcptTo.map(({ address }) => address),
    raw,
    isSecure: secure,
    user: typeof user === 'string' ? user : null,
  };
}
