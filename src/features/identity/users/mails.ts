import type { EnqueueMail } from '../mail/service.ts';
import { type MailTo, type Notice, notice } from '../notice.ts';
import { TOKEN_MINUTES } from '../user.ts';

type NewMail = Parameters<EnqueueMail>[1];

/** An account at a provider that signs a user in. */
interface Identity {
  readonly issuer: string;
  readonly subject: string;
}

const MINUTE_MS = 60_000;

/** Asks somebody who signed up to show that the address is theirs. */
export const confirmationMail = (to: MailTo, token: string): NewMail =>
  withToken(to, 'Confirm your mail address', [
    `Somebody, probably you, has signed up for Atlas at ${to.origin} with this address. To confirm that it is yours,`,
    'open this page, and enter the password that you chose:',
    '',
    `${to.origin}/confirm#token=${token}`,
    '',
    'Programs send the token and the password to POST /v1/users/confirmations:',
    '',
    token,
    '',
    `Both work once, for ${TOKEN_MINUTES} minutes. If you did not sign up, ignore this mail.`,
  ]);

/** Lets somebody choose another password. */
export const resetMail = (to: MailTo, token: string): NewMail =>
  withToken(to, 'Reset your password', [
    `Somebody, probably you, wants to reset the password of your account at ${to.origin}. To choose another one, open`,
    'this page:',
    '',
    `${to.origin}/reset-password#token=${token}`,
    '',
    'Programs send the token and the password to POST /v1/users/password-resets/completions:',
    '',
    token,
    '',
    `Both work once, for ${TOKEN_MINUTES} minutes. Choosing another password ends all your sessions. If it was not`,
    'you, ignore this mail: your password stays as it is.',
  ]);

/** Says to somebody who signs up again that there is an account. */
export const knownAddressMail = (to: MailTo): NewMail =>
  notice(to, 'You already have an account', [
    `Somebody, probably you, has signed up for Atlas at ${to.origin} with this address, which already has an account.`,
    'Nothing was changed. Sign in as usual; if you do not remember the password, request another one:',
    'POST /v1/users/password-resets. If it was not you, ignore this mail.',
  ]);

/**
 * Says that the password is another one, in case it was somebody else. Who reset it because somebody else got in must
 * know what still signs in without it.
 */
export const passwordChangedMail =
  (identities: readonly Identity[] = []) =>
  (to: MailTo): Notice =>
    notice(to, 'Your password was changed', [
      `The password of your account at ${to.origin} was changed, and other sessions have ended.`,
      ...(identities.length === 0 ? [] : ['', 'These accounts still sign you in, without the password:', '']),
      ...identities.map(({ issuer, subject }) => `- ${subject} at ${issuer}`),
      ...(identities.length === 0
        ? []
        : ['', 'Unlink those that are not yours: GET and DELETE /v1/users/me/identities.']),
      '',
      'If it was not you, reset it now (POST /v1/users/password-resets), and inform the operator of this Atlas.',
    ]);

const withToken = ({ email }: MailTo, subject: string, lines: readonly string[]): NewMail => ({
  recipient: email,
  organization: '',
  subject,
  text: `${lines.join('\n')}\n`,
  expiresAt: new Date(Date.now() + TOKEN_MINUTES * MINUTE_MS),
});
