const text = (description: string) => ({ description, schema: { type: 'string' as const } });

/** Headers that problems of any route can have, as components of the OpenAPI document. */
export const PROBLEM_HEADERS = {
  'Accept-Encoding': text('`identity` if the body had a Content-Encoding'),
  RateLimit: text('What is left of it, which is nothing, and when to retry'),
  'RateLimit-Policy': text('The quota or limit that refused the request'),
  'Retry-After': {
    description: 'Seconds to wait before a retry',
    schema: { type: 'integer' as const, minimum: 0 },
  },
  'WWW-Authenticate': text('The scheme to authenticate with'),
};

const OF_STATUS: Readonly<Record<number, readonly (keyof typeof PROBLEM_HEADERS)[]>> = {
  401: ['WWW-Authenticate'],
  409: ['Retry-After'],
  415: ['Accept-Encoding'],
  429: ['RateLimit', 'RateLimit-Policy', 'Retry-After'],
  503: ['Retry-After'],
};

/** Returns the name of the component of a header. */
export function componentOf(name: string): string {
  return name.replaceAll('-', '');
}

/** Returns references to the headers of problems with this status, or undefined if they have none of their own. */
export function problemHeaders(status: number): Record<string, { $ref: string }> | undefined {
  const names = OF_STATUS[status];
  return (
    names &&
    Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${componentOf(name)}` }]))
  );
}
