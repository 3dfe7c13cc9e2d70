import { AtlasError } from '../../errors.ts';
import type { Role, ScopesOfRoles } from './roles.ts';

/** In how many organizations a user can be. */
export const ORGANIZATIONS_OF_USER_MAX = 100;

/** Nobody gives a role, or takes one, that may do more than they may. Throws `role_exceeded`. */
export function requireCovers(scopesOfRoles: ScopesOfRoles, held: readonly string[], role: Role): void {
  const missing = scopesOfRoles[role].filter((scope) => !held.includes(scope));
  if (missing.length > 0)
    throw new AtlasError(
      'role_exceeded',
      `The role ${role} has scopes that you do not have: ${missing.join(', ')}.`,
    );
}
