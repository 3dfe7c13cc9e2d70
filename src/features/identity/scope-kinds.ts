/** What every session may do, whatever the role of its user: read and change what belongs to the person. */
export const PERSONAL_SCOPES: readonly string[] = ['me:read', 'me:write'];

/** Whether only keys of operators can have this scope. They have no others, and no organization's key has it. */
export function isOperatorScope(scope: string): boolean {
  return scope.startsWith('operator:');
}

/** Whether only sessions have this scope. No key and no role has it. */
export function isPersonalScope(scope: string): boolean {
  return scope.startsWith('me:');
}

/**
 * Returns the scopes that keys of organizations can have, those that keys of operators can have, and those of every
 * session.
 */
export function splitScopes(
  scopes: object,
): readonly [readonly string[], readonly string[], readonly string[]] {
  const all = Object.keys(scopes);
  return [
    all.filter((scope) => !isOperatorScope(scope) && !isPersonalScope(scope)),
    all.filter(isOperatorScope),
    all.filter(isPersonalScope),
  ];
}
