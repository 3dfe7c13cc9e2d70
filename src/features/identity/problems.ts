import type { ProblemKinds } from '../../http/problem-kind.ts';

/** Problems of API keys, organizations, users, mails, and quotas. Those of credentials belong to the pipeline. */
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
    cause:
      'There is no organization with this ID, or it is not the one that you act for. Test keys reach none.',
    remedy:
      'Check the ID. Members see theirs with `GET /v1/organizations`, and reach the one that their session acts for; operators see all with `GET /v1/operator/organizations` and `atlas organizations list`.',
  },
  organization_creation_closed: {
    status: 403,
    title: 'Creating organizations is closed',
    cause: 'Only owners of an organization that is not suspended can create another one here.',
    remedy: 'Ask an owner, or the operator of this Atlas, to create it and to invite you.',
  },
  too_many_organizations: {
    status: 422,
    title: 'Too many organizations',
    cause: 'The user owns, or is a member of, as many organizations as one user can.',
    remedy: 'Leave organizations that you no longer need: DELETE /v1/users/me/organizations/{id}.',
  },
  member_not_found: {
    status: 404,
    title: 'Member not found',
    cause: 'Your organization has no member with this ID.',
    remedy: 'Check the ID: GET /v1/organizations/current/members lists your members.',
  },
  role_exceeded: {
    status: 403,
    title: 'Role above that of the caller',
    cause: 'The role to give or to take may do more than you may. Only owners make owners, and change them.',
    remedy: 'Choose a lower role, or let somebody do it who has that role.',
  },
  last_owner: {
    status: 409,
    title: 'The only owner',
    cause: 'The user is the only owner of the organization, which must always have one.',
    remedy: 'Make another member an owner first: PATCH /v1/organizations/current/members/{userId}.',
  },
  already_member: {
    status: 409,
    title: 'Already a member',
    cause: 'Your organization has a member with this address.',
    remedy: 'Change the role instead: PATCH /v1/organizations/current/members/{userId}.',
  },
  too_many_members: {
    status: 422,
    title: 'Too many members',
    cause: 'The organization has as many members as one can have.',
    remedy: 'Remove members who no longer need access. The invitation stays open until it expires.',
  },
  invitation_not_found: {
    status: 404,
    title: 'Invitation not found',
    cause:
      'Your organization has no open invitation with this ID: it was accepted, replaced, or withdrawn, or expired.',
    remedy: 'GET /v1/organizations/current/invitations lists what is open.',
  },
  invitation_invalid: {
    status: 422,
    title: 'Invitation invalid',
    cause: 'The invitation does not exist, has expired or was used, or is for another address than yours.',
    remedy: 'Sign in with the address that the mail came to, or ask for another invitation.',
  },
  too_many_invitations: {
    status: 422,
    title: 'Too many invitations',
    cause: 'Your organization has as many open invitations as it can have.',
    remedy: 'Withdraw invitations that nobody will accept. Each expires after 7 days.',
  },
  user_not_found: {
    status: 404,
    title: 'User not found',
    cause: 'There is no user with this ID.',
    remedy: 'Find the ID by the address: GET /v1/operator/users?email=….',
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
    remedy: 'Wait for Retry-After, then retry.',
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
