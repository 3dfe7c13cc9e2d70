/** The routes under /v1 that need no key: what a person does before having a session. */
export const BEFORE_SIGN_IN: readonly string[] = [
  'POST /v1/users',
  'POST /v1/users/confirmations',
  'POST /v1/users/password-resets',
  'POST /v1/users/password-resets/completions',
  'POST /v1/sessions',
  'GET /v1/sessions/oidc',
  'GET /v1/sessions/oidc/callback',
  'POST /v1/sessions/oidc/completions',
];

export function isBeforeSignIn({
  method,
  pattern,
}: {
  readonly method: string;
  readonly pattern: string;
}): boolean {
  return BEFORE_SIGN_IN.includes(`${method.toUpperCase()} ${pattern}`);
}
