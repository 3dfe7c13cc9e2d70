import type { ProblemKinds } from '../../http/problem-kind.ts';

/** Problems of limits across accounts. */
export const limitProblems = {
  limit_exceeded: {
    status: 422,
    title: 'Limit exceeded',
    cause:
      'The transfer or hold would exceed a limit across accounts that your organization or an operator has set. `limit` names the limit and the maximum, and what remains until when.',
    remedy:
      'Nothing was posted. Send a smaller amount, wait until `limit.resetsAt` and send a new key, or raise the limit: PATCH /v1/limits/{id}.',
  },
  limit_not_found: {
    status: 404,
    title: 'Limit not found',
    cause: 'Your organization has no limit with this ID.',
    remedy: 'Check the ID. GET /v1/limits lists the limits.',
  },
  limit_of_operator: {
    status: 403,
    title: 'Limit of an operator',
    cause: 'An operator of this Atlas has set the limit, so your organization cannot change or delete it.',
    remedy: 'Ask the operator. Limits of your organization have `setBy` organization.',
  },
  too_many_limits: {
    status: 422,
    title: 'Too many limits',
    cause:
      'Your organization has reached 10000 limits or, on the ledger, 10 limits of all accounts; or an account has reached 10 limits of groups.',
    remedy: 'Delete a limit that is not needed, or change one: PATCH /v1/limits/{id}.',
  },
} as const satisfies ProblemKinds;
