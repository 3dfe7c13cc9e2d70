import type { ProblemKinds } from '../../http/problem-kind.ts';

/** Problems of quotas. Those of credentials belong to the pipeline. */
export const identityProblems = {
  quota_subject_not_found: {
    status: 404,
    title: 'No such key or organization',
    cause: 'There is no API key, or no organization, with this ID. Keys of operators have no quota.',
    remedy: 'Check the ID: `atlas key list` prints the IDs of keys, and of the organizations that own them.',
  },
} as const satisfies ProblemKinds;

declare module '../../errors.ts' {
  interface ErrorCodes extends Record<keyof typeof identityProblems, true> {}
}
