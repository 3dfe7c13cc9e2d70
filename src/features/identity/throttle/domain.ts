import { createHash } from 'node:crypto';
import { networkOf } from '../../../utils/ip-address.ts';

/** What attempts are counted for. */
export interface AttemptSubject {
  /** The SHA-256 of what it is, so that the table contains no addresses. */
  readonly hash: Buffer;
  /** Attempts that fail until the next one has to wait. */
  readonly failuresFree: number;
}

/** Failed attempts at one account, and by one known client or session, before each further one has to wait. */
export const ACCOUNT_FAILURES_FREE = 4;
/** Of one client address. More, because many people can share one. */
export const ADDRESS_FAILURES_FREE = 19;
/** Requests for mails from one client address that need not wait. */
export const MAIL_REQUESTS_FREE = 50;

export const WAIT_SECONDS_MAX = 900;
export const FORGET_HOURS = 24;
/** How long an address is known from which a person has signed in. */
export const KNOWN_DAYS = 30;

const subject = (failuresFree: number, ...what: readonly string[]): AttemptSubject => ({
  hash: createHash('sha256').update(JSON.stringify(what)).digest(),
  failuresFree,
});

/** Attempts to sign in to the account of a mail address, whether it exists or not. */
export const accountSubject = (email: string) => subject(ACCOUNT_FAILURES_FREE, 'account', email);

/** Those from an address from which somebody has signed in to it before. */
export const knownSubject = (email: string, address: string) =>
  subject(ACCOUNT_FAILURES_FREE, 'known', email, networkOf(address));

/** Attempts to sign in to any account from one address. */
export const addressSubject = (address: string) =>
  subject(ADDRESS_FAILURES_FREE, 'address', networkOf(address));

/** Requests for mails to any person from one address. */
export const mailSubject = (address: string) => subject(MAIL_REQUESTS_FREE, 'mail', networkOf(address));

/** Attempts of a user who is signed in to name the current password. */
export const passwordSubject = (userId: string) => subject(ACCOUNT_FAILURES_FREE, 'password', userId);

/** Codes of the second factor of a user, from an address that the person signed in from before, or from any other. */
export const secondFactorSubject = (userId: string, knownAddress: string | null) =>
  subject(
    ACCOUNT_FAILURES_FREE,
    'second factor',
    userId,
    ...(knownAddress === null ? [] : [networkOf(knownAddress)]),
  );

/** Responses of the provider that were brought from one address and are none. */
export const providerSubject = (address: string) =>
  subject(ADDRESS_FAILURES_FREE, 'provider', networkOf(address));
