import type { ProblemKinds } from '../../http/problem-kind.ts';

/** Problems of users, their passwords, and their sessions. */
export const peopleProblems = {
  sign_in_failed: {
    status: 401,
    title: 'Sign-in failed',
    cause:
      'The mail address or the password is wrong, the address is not confirmed, or the user is locked out. The response does not say which, so that nobody learns who has an account.',
    remedy:
      'Check both. Confirm your address with the mail that you got, or reset the password: POST /v1/users/password-resets.',
  },
  second_factor_required: {
    status: 401,
    title: 'Second factor required',
    cause: 'The password is right, and the user has a second factor.',
    remedy: 'Send the current code of your authenticator app, or a recovery code, as `code`.',
  },
  too_many_attempts: {
    status: 429,
    title: 'Too many attempts',
    cause:
      'Several attempts failed, at this account or from your address, or several are in progress. The next one must wait, each time longer.',
    remedy:
      'Wait for Retry-After. After wrong passwords, resetting the password ends the wait: POST /v1/users/password-resets. After wrong codes, a recovery code works at once. Sessions that exist go on.',
  },
  sign_in_overloaded: {
    status: 503,
    title: 'Too many people sign in',
    cause: 'Checking a password takes processor time, which is bounded so that payments are not slowed down.',
    remedy: 'Wait for Retry-After, then retry.',
  },
  https_required: {
    status: 403,
    title: 'HTTPS required',
    cause:
      'Passwords and cookies must be sent over TLS. PUBLIC_URL is not set, or is neither an https:// origin nor one of this host.',
    remedy:
      'The operator must serve Atlas over TLS, and set PUBLIC_URL to its origin, such as https://atlas.example.com.',
  },
  cross_site_request: {
    status: 403,
    title: 'Request from another site',
    cause: 'A change that a cookie authorizes must come from a page of this Atlas, which browsers report.',
    remedy:
      'Programs send Authorization: Bearer with the token of a session or an API key. Pages must be served from the origin in PUBLIC_URL.',
  },
  sign_up_closed: {
    status: 403,
    title: 'Sign-up closed',
    cause: 'Only invited people can become users of this Atlas, or nobody can.',
    remedy: 'Ask an owner of an organization for an invitation, or the operator of this Atlas.',
  },
  password_unsuitable: {
    status: 422,
    title: 'Unsuitable password',
    cause:
      'The password is too short or too long, is among the first that are guessed, or is made of your name.',
    remedy: 'Choose another one: at least 12 characters, such as four random words.',
  },
  password_wrong: {
    status: 403,
    title: 'Wrong password',
    cause: 'The password is not your current one, or you have none.',
    remedy: 'Send the current password. Without one, set one: POST /v1/users/password-resets.',
  },
  reauthentication_required: {
    status: 403,
    title: 'Sign in again',
    cause: 'This needs a session that was started within the last 10 minutes.',
    remedy:
      'Sign in again, through a provider with GET /v1/sessions/oidc?recent=true, and repeat the request with the new session.',
  },
  one_time_token_invalid: {
    status: 422,
    title: 'Invalid token',
    cause:
      'The token is unknown, is older than 30 minutes, was used before, or was replaced by the one in a later mail; or the password is not the one of the sign-up.',
    remedy:
      'Use the latest mail, or request another one: POST /v1/users/password-resets for a password, POST /v1/users to confirm an address.',
  },
  session_not_found: {
    status: 404,
    title: 'Session not found',
    cause: 'You have no session with this ID: it has ended, or is that of another user.',
    remedy: 'GET /v1/sessions lists your sessions.',
  },
} as const satisfies ProblemKinds;

declare module '../../errors.ts' {
  interface ErrorCodes extends Record<keyof typeof peopleProblems, true> {}
}
