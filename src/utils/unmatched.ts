/** The pattern of requests that no route matches. */
export const UNMATCHED = 'unmatched';
