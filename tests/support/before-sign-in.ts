const PATHS = [
  '/v1/users',
  '/v1/users/confirmations',
  '/v1/users/password-resets',
  '/v1/users/password-resets/completions',
  '/v1/sessions',
];

/** The routes under /v1 that need no key: what a person does before having a session. All of them are `POST`. */
export const BEFORE_SIGN_IN: readonly string[] = PATHS;

export function isBeforeSignIn({
  method,
  pattern,
}: {
  readonly method: string;
  readonly pattern: string;
}): boolean {
  return method.toUpperCase() === 'POST' && PATHS.includes(pattern);
}
