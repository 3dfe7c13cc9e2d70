import type { ProblemKinds } from '../../http/problem-kind.ts';

/** Problems of organizations, people, and their credentials. */
export const identityProblems = {
  organization_suspended: {
    status: 403,
    title: 'Organization suspended',
    cause: 'The operator of this Atlas has suspended the organization. Its data is kept.',
    remedy: 'Ask the operator to reinstate the organization.',
  },
} as const satisfies ProblemKinds;

declare module '../../errors.ts' {
  interface ErrorCodes extends Record<keyof typeof identityProblems, true> {}
}
