import type { Dependency } from '../../resilience/dependency.ts';

/** A mail to send, in plain text. Repeated with the same id, it has the same bytes. */
export interface Mail {
  /** Also its Message-ID, which shows recipients and servers that a repeated mail is the same. */
  readonly id: string;
  /** One bare address: see `isMailAddress`. */
  readonly recipient: string;
  readonly subject: string;
  readonly text: string;
  readonly createdAt: Date;
}

/** Delivers mails. */
export interface Mailer {
  readonly mode: 'SMTP' | 'folder';
  /** The address of the mail server, without credentials, or the folder. */
  readonly where: string;
  /** The mail server; null if mails are files on this host. */
  readonly dependency: Dependency | null;
  /**
   * Hands a mail over. Throws {@link MailError} if this mail was refused, an `AtlasError` of `dependency_unavailable` if
   * none can be sent, and the reason of the signal. Unless it was refused, the mail may have been handed over
   * nevertheless.
   */
  send(mail: Mail, signal: AbortSignal): Promise<void>;
  /** Returns the milliseconds that it took to find out that mails can be sent. Throws like {@link send}. */
  check(signal: AbortSignal): Promise<number>;
  close(): void;
}

/** Whether a mail that was refused may be accepted later. */
export type MailRefusal = 'deferred' | 'rejected';

/** The mail server refused a mail. Has nothing of the mail, not even in the text of the server, which may quote it. */
export class MailError extends Error {
  readonly refusal: MailRefusal;
  /** The code of the reply and, if it has one, its enhanced code, such as `550 5.1.1`. Null if there was no reply. */
  readonly status: string | null;

  constructor(refusal: MailRefusal, status: string | null) {
    super(`The mail server has ${refusal} a mail${status === null ? '' : ` (${status})`}.`);
    this.name = 'MailError';
    this.refusal = refusal;
    this.status = status;
  }
}
