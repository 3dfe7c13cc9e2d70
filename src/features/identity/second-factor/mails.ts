import { type MailTo, type Notice, notice } from '../notice.ts';

const NOT_YOU =
  'If it was not you, reset your password now (POST /v1/users/password-resets), and inform the operator of this Atlas.';

/** Says that signing in needs a code from now on. */
export const factorEnabledMail = (to: MailTo): Notice =>
  notice(to, 'Second factor turned on', [
    `Signing in to your account at ${to.origin} now also needs a code of your authenticator app.`,
    '',
    NOT_YOU,
  ]);

/** Says that signing in needs a password only. */
export const factorRemovedMail = (to: MailTo): Notice =>
  notice(to, 'Second factor turned off', [
    `Signing in to your account at ${to.origin} no longer needs a code: you turned the second factor off.`,
    '',
    NOT_YOU,
  ]);

/** Says that an operator has removed the second factor. */
export const factorResetMail = (to: MailTo): Notice =>
  notice(to, 'Second factor removed by an operator', [
    `An operator of Atlas has removed the second factor of your account at ${to.origin}. Signing in needs the password`,
    'only, until you set up a second factor again.',
    '',
    'If you did not ask for that, inform the operator, and change your password (PUT /v1/users/me/password).',
  ]);

/** Says that the former recovery codes are worthless. */
export const codesReplacedMail = (to: MailTo): Notice =>
  notice(to, 'Recovery codes replaced', [
    `Your account at ${to.origin} has new recovery codes. The ones before no longer work.`,
    '',
    NOT_YOU,
  ]);

/** Says that a recovery code was used, and how many are left. */
export const codeUsedMail =
  (left: number) =>
  (to: MailTo): Notice =>
    notice(to, 'A recovery code was used', [
      `A recovery code of your account at ${to.origin} was used instead of a code of your authenticator app. It works`,
      `only once; ${left === 1 ? '1 is' : `${left} are`} left. New ones: POST /v1/users/me/totp/recovery-codes.`,
      '',
      NOT_YOU,
    ]);
