import type { ProblemKinds } from '../../../http/problem-kind.ts';

/** Problems of second factors. */
export const secondFactorProblems = {
  second_factor_exists: {
    status: 409,
    title: 'Second factor exists',
    cause: 'The user already has a second factor.',
    remedy: 'Turn it off first: POST /v1/users/me/totp/remove.',
  },
  second_factor_missing: {
    status: 404,
    title: 'No second factor',
    cause: 'The user has no second factor, or it was not set up yet.',
    remedy: 'Set one up: POST /v1/users/me/totp, then confirm it with PUT /v1/users/me/totp.',
  },
  second_factor_wrong: {
    status: 403,
    title: 'Second factor wrong',
    cause: 'The code is wrong, is of another time, or was used before. Each works once.',
    remedy:
      'Wait for the next code of the authenticator app, check the clock of its device, or send a recovery code.',
  },
} as const satisfies ProblemKinds;

declare module '../../../errors.ts' {
  interface ErrorCodes extends Record<keyof typeof secondFactorProblems, true> {}
}
