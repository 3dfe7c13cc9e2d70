import { createTransport } from 'nodemailer';
import { AtlasError } from '../../errors.ts';
import { BulkheadFull } from '../../resilience/bulkhead.ts';
import { Dependency } from '../../resilience/dependency.ts';
import { readCaFile } from '../../utils/ca-file.ts';
import type { MailSender } from '../../utils/mail-address.ts';
import { orAbort } from '../../utils/or-abort.ts';
import type { Mailer } from './mailer.ts';
import { messageOf } from './message.ts';
import { type SmtpAccess, smtpAddress } from './smtp-access.ts';
import { mailFault, SMTP_TLS } from './smtp-fault.ts';

/** How a mail server is used: see `CIRCUIT_BREAKER_*`. */
export interface SmtpMailerOptions {
  readonly access: SmtpAccess;
  readonly from: MailSender;
  readonly failureThreshold: number;
  readonly recoveryTimeoutMs: number;
  /** Until a mail was handed over. Servers may scan it before they accept it. */
  readonly timeoutMs?: number;
  /** Until the connection is open, greeted, and encrypted. */
  readonly connectMs?: number;
  /** How long the result of a check is used, because a check logs in, and servers limit logins. */
  readonly checkedMs?: number;
}

const CONNECTIONS_MAX = 8;
const TIMEOUT_MS = 120_000;
const CONNECT_MS = 15_000;
const CHECKED_MS = 30_000;

/**
 * Sends mails to an SMTP server, each over a connection of its own, with `nodemailer`. With credentials, nothing is sent
 * without TLS; without them, TLS is used if the server offers it. Its certificate is always verified. Throws an Error
 * with a remedy if the file of authorities cannot be used.
 */
export function smtpMailer(options: SmtpMailerOptions): Mailer {
  const { access, from, timeoutMs = TIMEOUT_MS } = options;
  const transport = openTransport(options);
  const fault = (error: unknown, signal: AbortSignal) =>
    signal.aborted ? signal.reason : mailFault(error, access);

  /** Connects and logs in. `verify` takes no signal, and ends at the latest with the timeouts of the connection. */
  async function verify(signal: AbortSignal): Promise<number> {
    const startMs = performance.now();
    try {
      await orAbort(transport.verify(), signal);
      return performance.now() - startMs;
    } catch (error) {
      throw fault(error, signal);
    }
  }

  const dependency = new Dependency({
    name: 'mail',
    concurrencyMax: CONNECTIONS_MAX,
    waitingMax: CONNECTIONS_MAX,
    // A slow server is not a dead one, and a mail that was given up too early is sent twice.
    timeoutFloorMs: timeoutMs,
    timeoutMaxMs: timeoutMs,
    failureThreshold: options.failureThreshold,
    recoveryTimeoutMs: options.recoveryTimeoutMs,
    attributes: { 'server.address': access.host, 'server.port': access.port },
    isFailure: (error) => error instanceof AtlasError,
    probe: remembered(() => verify(AbortSignal.timeout(timeoutMs)), options.checkedMs ?? CHECKED_MS),
    unavailable: (cause) =>
      new AtlasError(
        cause instanceof BulkheadFull ? 'overloaded' : 'dependency_unavailable',
        'The mail server cannot be used.',
        { cause },
      ),
  });

  return {
    mode: 'SMTP',
    where: smtpAddress(access),
    dependency,
    send: (mail, signal) =>
      dependency.call(
        'send',
        async (aborted) => {
          try {
            await transport.sendMail({ ...messageOf(mail, from), signal: aborted });
          } catch (error) {
            throw fault(error, aborted);
          }
        },
        { signal },
      ),
    check: verify,
    close() {
      dependency.close();
      transport.close();
    },
  };
}

function openTransport({
  access,
  timeoutMs = TIMEOUT_MS,
  connectMs = CONNECT_MS,
}: Pick<SmtpMailerOptions, 'access' | 'timeoutMs' | 'connectMs'>) {
  const { host, port, startsWithTls, login, caFile } = access;
  return createTransport({
    host,
    port,
    secure: startsWithTls,
    requireTLS: login !== null,
    // Also if the server does not offer it: nothing is sent without the login.
    ...(login && { auth: { user: login.user, pass: login.password }, forceAuth: true }),
    tls: {
      rejectUnauthorized: true,
      ...(caFile !== undefined && { ca: readCaFile(caFile, SMTP_TLS.authority) }),
    },
    connectionTimeout: connectMs,
    greetingTimeout: connectMs,
    dnsTimeout: connectMs,
    socketTimeout: timeoutMs,
    // A mail has one part of text, never what a URL or a path contains.
    disableFileAccess: true,
    disableUrlAccess: true,
  });
}

/**
 * Runs a check at most once per time, however often it is called. Meanwhile each caller gets the last result, also
 * while the next check runs.
 */
function remembered(check: () => Promise<unknown>, validMs: number): () => Promise<unknown> {
  let last: Promise<unknown> | null = null;
  let next: Promise<unknown> | null = null;
  let startedMs = Number.NEGATIVE_INFINITY;
  return () => {
    if (next === null && performance.now() - startedMs >= validMs) {
      startedMs = performance.now();
      const running = check();
      next = running;
      const end = () => {
        last = running;
        next = null;
      };
      running.then(end, end);
    }
    return last ?? next!;
  };
}
