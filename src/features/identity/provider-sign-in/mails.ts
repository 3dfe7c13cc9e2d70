import { type MailTo, type Notice, notice } from '../notice.ts';

/** Says that somebody can sign in through the provider from now on. */
export const identityLinkedMail =
  (provider: string) =>
  (to: MailTo): Notice =>
    notice(to, `Sign-in through ${provider} turned on`, [
      `Your account at ${to.origin} is now linked to your account at ${provider}, which signs you in, too.`,
      '',
      'If it was not you, unlink it (DELETE /v1/users/me/identities/{id}), reset your password',
      '(POST /v1/users/password-resets), and inform the operator of this Atlas.',
    ]);

/** Says that somebody can no longer sign in through a provider. */
export const identityUnlinkedMail =
  (issuer: string) =>
  (to: MailTo): Notice =>
    notice(to, 'Sign-in through a provider turned off', [
      `Your account at ${to.origin} is no longer linked to your account at ${issuer}, which does not sign you in any more.`,
      '',
      'If it was not you, reset your password (POST /v1/users/password-resets), and inform the operator of this Atlas.',
    ]);
