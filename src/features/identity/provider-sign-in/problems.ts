import type { ProblemKinds } from '../../../http/problem-kind.ts';

/** Problems of signing in through an OpenID Connect provider. */
export const providerProblems = {
  provider_off: {
    status: 404,
    title: 'No provider',
    cause: 'This Atlas has no OpenID Connect provider to sign in through.',
    remedy: 'Sign in with a password: POST /v1/sessions. Operators set OIDC_ISSUER.',
  },
  identity_not_found: {
    status: 404,
    title: 'Identity not found',
    cause: 'You have no linked identity with this ID.',
    remedy: 'Read which ones you have: GET /v1/users/me/identities.',
  },
  provider_unavailable: {
    status: 503,
    title: 'Provider unavailable',
    cause: 'The OpenID Connect provider does not respond in time, or not as it should.',
    remedy: 'Wait for Retry-After and try again, or sign in with a password.',
  },
  provider_sign_in_failed: {
    status: 401,
    title: 'Sign-in through the provider failed',
    cause:
      'The sign-in was declined, took longer than 10 minutes, was started in another browser, was completed before, or the response of the provider belongs to another one.',
    remedy: 'Start again: GET /v1/sessions/oidc.',
  },
  provider_email_unverified: {
    status: 403,
    title: 'Address not verified by the provider',
    cause:
      'The identity is not linked to a user yet, and the provider does not confirm that the mail address belongs to you.',
    remedy: 'Have the provider verify your address, or sign up here with a password.',
  },
} as const satisfies ProblemKinds;

declare module '../../../errors.ts' {
  interface ErrorCodes extends Record<keyof typeof providerProblems, true> {}
}
