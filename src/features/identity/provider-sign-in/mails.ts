import { type MailTo, type Notice, notice } from '../notice.ts';

/** Says that somebody can sign in through the provider from now on. */
export const identityLinkedMail =
  (provider: string) =>
  (to: MailTo): Notice =>
    notice(to, `Sign-in through ${provider} turned on`, [
      `Your account at ${to.origin} is now linked to your account at ${provider}, which signs you in, too.`,
      '',
      'If it was not you, inform the operator of this Atlas, and reset your password (POST /v1/users/password-resets).',
    ]);
