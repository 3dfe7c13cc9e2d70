import { z } from '@hono/zod-openapi';
import type { Fields } from '../envelope/response-headers.ts';

/**
 * Creates the schema of an opaque cursor: the position after which a page starts (keyset pagination). `form` must match
 * only text that `parse` can read, so that OpenAPI documents the format and any other cursor is invalid input. It is in
 * lower case; since cursors contain IDs, they are read in either.
 */
export const cursorSchema = <T>(
  form: RegExp,
  parse: (cursor: string) => T,
  otherwise = 'must be a cursor returned by this list',
) => z.string().toLowerCase().regex(form, otherwise).transform(parse);

/** The documentation of the header that {@link linkNext} returns. */
export const NEXT = {
  Link: { description: 'Link to the next page, `rel="next"`', schema: { type: 'string' } },
} as const;

/** Formats a whole number for a cursor, in hexadecimal digits of a fixed width. */
export function toHex(value: number | bigint, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

/** Returns a `Link` header (RFC 8288) to the next page of the list at this URL, or undefined if there is none. */
export function linkNext(url: string, nextCursor: string | null): Fields | undefined {
  if (nextCursor === null) return undefined;
  const { pathname, searchParams } = new URL(url);
  searchParams.set('cursor', nextCursor);
  return { Link: `<${pathname}?${searchParams}>; rel="next"` };
}
