import type { ProblemKinds } from '../../http/problem-kind.ts';

/** Problems of API keys, organizations, mails, and quotas. Those of credentials belong to the pipeline. */
export const identityProblems = {
  api_key_not_found: {
    status: 404,
    title: 'API key not found',
    cause: 'Your organization has no API key with this ID, or it is a live key and yours is a test key.',
    remedy:
      'Check the ID: it is the part of a key between its underscores. GET /v1/api-keys lists your keys.',
  },
  api_key_ended: {
    status: 409,
    title: 'API key has ended',
    cause: 'The key is revoked or expired.',
    remedy: 'Create a new key: POST /v1/api-keys.',
  },
  scopes_exceeded: {
    status: 403,
    title: 'More than the caller may grant',
    cause:
      'The key to create or rotate would have scopes that your own key does not have, or a kind that it cannot grant.',
    remedy: 'Request fewer scopes, or use a key that has all of them.',
  },
  too_many_api_keys: {
    status: 422,
    title: 'Too many API keys',
    cause: 'Your organization has reached the limit of usable keys, or of keys that ended recently.',
    remedy: 'Revoke keys that you no longer need. Keys that ended are deleted after 30 days.',
  },
  isolation_off: {
    status: 409,
    title: 'Isolation is off',
    cause:
      'Test keys are separated from live data by the isolation of organizations, which is off in this Atlas.',
    remedy: 'The operator of this Atlas can switch it on. Until then, create live keys only.',
  },
  test_space_taken: {
    status: 409,
    title: 'Test space taken',
    cause:
      'An organization exists whose ID is that of the test space of yours, so test keys would reach its data.',
    remedy: 'Use live keys, or ask the operator of this Atlas for an organization with another ID.',
  },
  organization_not_found: {
    status: 404,
    title: 'Organization not found',
    cause: 'There is no organization with this ID.',
    remedy: 'Check the ID: `GET /v1/operator/organizations` and `atlas organizations list` list all of them.',
  },
  too_many_mails: {
    status: 429,
    title: 'Too many mails',
    cause:
      'Atlas has sent too many mails to this address, or on behalf of your organization, within an hour.',
    remedy: 'Look for a mail that has arrived already, and wait for Retry-After.',
  },
  mail_queue_full: {
    status: 503,
    title: 'Mail queue full',
    cause: 'Too many mails are waiting to be sent, because the mail server does not accept them.',
    remedy: 'Retry after Retry-After.',
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
