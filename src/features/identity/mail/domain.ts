import { AtlasError } from '../../../errors.ts';
import { isMailAddress } from '../../../utils/mail-address.ts';
import type { SealContext } from '../../../utils/sealing.ts';

/** A mail to send, in plain text. */
export interface NewMail {
  /** One bare address, such as `ada@example.com`: see `isMailAddress`. */
  readonly recipient: string;
  /** On whose behalf; empty if for no organization. */
  readonly organization: string;
  /** One line. Control characters become spaces. Must have no token: without a mail server, the log has it. */
  readonly subject: string;
  readonly text: string;
  /** After this nobody can use it any more, so it is no longer sent. */
  readonly expiresAt: Date;
  /** It is refused if the recipient got this many mails in the last hour. {@link RECIPIENT_MAILS_MAX} if unset. */
  readonly recipientMax?: number;
}

/** What of a mail is sealed, because it may contain tokens. */
export interface MailContent {
  readonly subject: string;
  readonly text: string;
}

/** Mails of an hour, to one recipient and on behalf of one organization, and pending ones in all. */
export const RECIPIENT_MAILS_MAX = 10;
export const ORGANIZATION_MAILS_MAX = 500;
export const PENDING_MAILS_MAX = 10_000;

/** A mail leased to this process, with everything that an attempt needs. */
export interface MailClaim {
  readonly id: string;
  readonly organization: string;
  readonly recipient: string;
  /** A sealed record of {@link MailContent}. */
  readonly content: string;
  readonly createdAt: Date;
  /** The number of this attempt. Only the result of the latest one is accepted. */
  readonly attempts: number;
  /** Attempts that count, including this one. */
  readonly tries: number;
  readonly expiresInMs: number;
}

/** The result of an attempt; `unavailable` is about the mail server, the other failures are about the mail. */
export type MailResult =
  | { readonly outcome: 'sent' }
  | {
      readonly outcome: 'rejected' | 'deferred' | 'unavailable' | 'internal';
      /** Of the reply of the server, such as `550 5.1.1`; null if there was none. */
      readonly status: string | null;
    };

/** What becomes of a mail after an attempt. `failure` is null once it was sent. */
export interface MailOutcome {
  readonly state: 'sent' | 'pending' | 'failed';
  readonly waitMs: number;
  readonly failure: string | null;
}

/** How many mails are pending and due, and how long the oldest one has been due. */
export interface MailBacklog {
  readonly pending: number;
  readonly due: number;
  readonly dueAgeSeconds: number;
}

/** A mail that ended without having been sent. */
export interface GivenUpMail {
  readonly id: string;
  readonly organization: string;
  readonly recipient: string;
  readonly attempts: number;
  readonly failure: string;
}

const TRIES_MAX = 20;
const FIRST_WAIT_MS = 5000;
const WAIT_FACTOR = 3;
const WAIT_MS_MAX = 4 * 3_600_000;
/** Each wait varies by up to this share of it. */
const JITTER = 0.2;

/** How long a claim lasts: longer than an attempt and the recording of its result. */
export const LEASE_MS = 180_000;

const SUBJECT_CHARACTERS_MAX = 200;
const TEXT_CHARACTERS_MAX = 20_000;
// Control characters, also those that some programs take for the end of a line.
const CONTROL = /[\p{Cc}\u2028\u2029]+/gu;
// Mail programs decode what begins with this (RFC 2047), and could show whatever a name in it encodes.
const ENCODED_WORD = /=\?/g;

/** What the record of a mail belongs to. */
export const mailContext = (id: string): SealContext => ({ purpose: 'mail', id });

/**
 * Returns the content of a mail, whose subject is one line whatever a name in it contains. Throws an `AtlasError` if
 * the recipient is not one bare address, and an Error if the text is longer than any that Atlas writes.
 */
export function contentOf({ recipient, subject, text }: NewMail): MailContent {
  if (!isMailAddress(recipient))
    throw new AtlasError('invalid_request', 'The mail address is not one that Atlas can send to.');
  if (text.length > TEXT_CHARACTERS_MAX) throw new Error('The text of a mail is too long.');
  const line = subject.replace(CONTROL, ' ').replace(ENCODED_WORD, '= ?').trim().toWellFormed();
  return { subject: clip(line, SUBJECT_CHARACTERS_MAX), text: text.toWellFormed() };
}

/**
 * Decides what becomes of a mail after an attempt. Waits grow from 5 s to 4 h, and to at most half of the time that is
 * left, so that a mail that expires soon is tried often enough. `random` is from 0 to 1.
 */
export function decide(
  result: MailResult,
  { tries, expiresInMs }: Pick<MailClaim, 'tries' | 'expiresInMs'>,
  random: number,
): MailOutcome {
  if (result.outcome === 'sent') return { state: 'sent', waitMs: 0, failure: null };
  const failure = result.status === null ? result.outcome : `${result.outcome} ${result.status}`;
  const grownMs = Math.min(WAIT_MS_MAX, FIRST_WAIT_MS * WAIT_FACTOR ** (tries - 1));
  const fittingMs = Math.max(FIRST_WAIT_MS, Math.min(grownMs, expiresInMs / 2));
  const waitMs = Math.round(fittingMs * (1 - JITTER + 2 * JITTER * random));
  const isOver = result.outcome === 'rejected' || tries >= TRIES_MAX || waitMs >= expiresInMs;
  return isOver ? { state: 'failed', waitMs: 0, failure } : { state: 'pending', waitMs, failure };
}

function clip(text: string, charactersMax: number): string {
  const characters = Array.from(text);
  return characters.length <= charactersMax ? text : `${characters.slice(0, charactersMax - 1).join('')}…`;
}
