/** The scopes of organizations, their people and keys, of persons, and of operators. */
export const identityScopes = {
  'organization:read': 'Read the organization.',
  'organization:write': 'Rename the organization, and make members owners of it.',
  'members:read': 'Read the members of the organization, and its open invitations.',
  'members:write':
    'Invite and remove members of the organization and change their roles, up to what the caller may do itself.',
  'keys:read': 'Read the API keys of the organization, without their secrets.',
  'keys:write':
    'Create, rotate, and revoke API keys of the organization, with scopes that the key itself has.',
  'me:read': 'Read your own user and sessions; every session has it, and no key.',
  'me:write': 'Change your own user and sessions; every session has it, and no key.',
  'operator:read':
    'Read organizations, users, and quotas, and verify the whole ledger; keys of operators only.',
  'operator:write':
    'Create and suspend organizations, lock users out, remove second factors, and set quotas; keys of operators only.',
} as const;
