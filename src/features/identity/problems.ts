import type { ProblemKinds } from '../../http/problem-kind.ts';

/** Problems of organizations and quotas. Those of credentials belong to the pipeline. */
export const identityProblems = {
  organization_not_found: {
    status: 404,
    title: 'Organization not found',
    cause: 'There is no organization with this ID.',
    remedy: 'Check the ID: `GET /v1/operator/organizations` and `atlas organizations list` list all of them.',
  },
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
