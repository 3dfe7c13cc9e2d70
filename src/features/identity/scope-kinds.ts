/** Whether only keys of operators can have this scope. They have no others, and no organization's key has it. */
export function isOperatorScope(scope: string): boolean {
  return scope.startsWith('operator:');
}

/** Returns the scopes that keys of organizations can have, and those that keys of operators can have. */
export function splitScopes(scopes: object): readonly [readonly string[], readonly string[]] {
  const all = Object.keys(scopes);
  return [all.filter((scope) => !isOperatorScope(scope)), all.filter(isOperatorScope)];
}
