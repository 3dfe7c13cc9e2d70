/** The roles of users in an organization, from the one that may do least to the one that may do everything. */
export const ROLES = ['viewer', 'member', 'admin', 'owner'] as const;
export type Role = (typeof ROLES)[number];

/** The scopes of each role. */
export type ScopesOfRoles = Readonly<Record<Role, readonly string[]>>;

// What says who has access, and who did what, is for those who manage the organization.
const MANAGERS_READ = ['audit:read', 'keys:read'];
// What is known about people is for those who work with it.
const MEMBERS_READ = ['documents:read'];
const OWNERS_WRITE = ['organization:write'];
const MEMBERS_WRITE = ['accounts:write', 'transfers:write', 'files:write', 'documents:write'];

/**
 * Divides the scopes that an organization's key can have among the roles. Each role has those of the one before it, so
 * who may give a role is a matter of rank: nobody grants more than they have.
 */
export function scopesOfRoles(scopes: readonly string[]): ScopesOfRoles {
  const having = (isAllowed: (scope: string) => boolean) => scopes.filter(isAllowed);
  const isForMembers = (scope: string) => scope.endsWith(':read') && !MANAGERS_READ.includes(scope);
  return {
    viewer: having((scope) => isForMembers(scope) && !MEMBERS_READ.includes(scope)),
    member: having((scope) => isForMembers(scope) || MEMBERS_WRITE.includes(scope)),
    admin: having((scope) => !OWNERS_WRITE.includes(scope)),
    owner: scopes,
  };
}
