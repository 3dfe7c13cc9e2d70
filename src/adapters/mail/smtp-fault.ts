import { AtlasError } from '../../errors.ts';
import { type TlsSettings, tlsRemedy } from '../../utils/tls-fault.ts';
import { MailError } from './mailer.ts';
import type { SmtpAccess } from './smtp-access.ts';

/** Where an operator fixes the TLS connection to the mail server. */
export const SMTP_TLS: TlsSettings = { address: 'SMTP_URL', authority: 'SMTP_CA_FILE' };

/** What nodemailer throws. */
interface SmtpError extends Error {
  readonly code?: string;
  /** The code before nodemailer replaced it. */
  readonly originalCode?: string;
  readonly command?: string;
  readonly response?: string;
  readonly responseCode?: number;
}

const TEXT_MAX = 200;
// The service is closing the connection, whatever was sent (RFC 5321, section 3.8).
const CLOSING = 421;
// The session was in the wrong state, which says nothing about the mail.
const BAD_SEQUENCE = 503;
const ENHANCED = /^\d{3}[ -](\d\.\d{1,3}\.\d{1,3})\b/;
// Phases in which the server knows the recipient or the text, and may quote them.
const ABOUT_MAIL = /^(?:RCPT TO|DATA)$/;

const BEFORE_MAIL = /^(?:EAUTH|EDNS|EPROTOCOL|ESOCKET|ETIMEDOUT|ETLS)$/;

/**
 * Returns the error of the port for one of nodemailer. A refusal of the recipient or the text is about this mail; any
 * other failure, also a rejected login or sender, would be the same for every mail, so an operator must fix it.
 */
export function mailFault(error: unknown, access: SmtpAccess): MailError | AtlasError {
  const { code, command = '', responseCode = 0, response = '' } = error as SmtpError;
  const isAboutMail = ABOUT_MAIL.test(command) || code === 'EMESSAGE';
  if (isAboutMail && responseCode >= 400 && responseCode !== CLOSING) {
    const isFinal = responseCode >= 500 && responseCode !== BAD_SEQUENCE;
    const enhanced = ENHANCED.exec(response)?.[1];
    const status = enhanced === undefined ? `${responseCode}` : `${responseCode} ${enhanced}`;
    return new MailError(isFinal ? 'rejected' : 'deferred', status);
  }
  // Refused by the client itself: the address or the text cannot be sent at all.
  if ((code === 'EENVELOPE' || code === 'EMESSAGE') && responseCode === 0)
    return new MailError('rejected', null);
  const remedy = remedyOf(error as SmtpError);
  return new AtlasError('dependency_unavailable', 'The mail server cannot be used.', {
    cause: new Error(publicText(error as SmtpError, access)),
    ...(remedy !== null && { remedy }),
  });
}

/** What an operator must do about an error that retries cannot fix. Null for any other error. */
function remedyOf({ code, originalCode, command = '', responseCode = 0 }: SmtpError): string | null {
  if (code === 'EAUTH' && responseCode >= 500)
    return 'Correct the user and the password in SMTP_URL, or SMTP_USER and SMTP_PASSWORD.';
  if (command === 'MAIL FROM' && responseCode >= 500)
    return 'Set MAIL_FROM to an address that the login of SMTP_URL may send from.';
  const tls = tlsRemedy(Object.assign(new Error(), { code: originalCode ?? code }), SMTP_TLS);
  if (tls !== null || code !== 'ETLS') return tls;
  return 'With a user and password, the mail server must offer STARTTLS. Name one that does, or use smtps://.';
}

/**
 * The text of an error, with that of the server only if it belongs to a phase before the mail. Servers may quote a
 * login too.
 */
function publicText(
  { message, code = '', command = '', responseCode }: SmtpError,
  access: SmtpAccess,
): string {
  const isBeforeMail = BEFORE_MAIL.test(code) || /^(?:EHLO|MAIL FROM)$/.test(command);
  const reply = responseCode === undefined ? '' : ` (${responseCode})`;
  if (!isBeforeMail) return `${message.split(':', 1)[0]}${reply}`;
  const text = message.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').slice(0, TEXT_MAX);
  const { user = '', password = '' } = access.login ?? {};
  const secrets = [user, password].filter((part) => part !== '');
  const encoded = [...secrets, `\0${user}\0${password}`].map((part) => Buffer.from(part).toString('base64'));
  return [...secrets, ...encoded].some((part) => text.includes(part)) ? `${code}${reply}` : text;
}
