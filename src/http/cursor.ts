import { z } from '@hono/zod-openapi';
import type { AtlasContext } from './route.ts';

/**
 * Creates the schema of an opaque cursor: the position after which a page starts (keyset pagination). `form` must match
 * only text that `parse` can read, so that OpenAPI documents the format and any other cursor is invalid input.
 */
export const cursorSchema = <T>(form: RegExp, parse: (cursor: string) => T) =>
  z.string().regex(form, 'must be a cursor returned by this list').transform(parse);

/** Formats a whole number for a cursor, in hexadecimal digits of a fixed width. */
export function toHex(value: number | bigint, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

/** Links to the next page in a `Link` header (RFC 8288), with the path and query of this request. */
export function linkNext(c: AtlasContext, nextCursor: string | null): void {
  if (nextCursor === null) return;
  const url = new URL(c.req.url);
  url.searchParams.set('cursor', nextCursor);
  c.header('Link', `<${url.pathname}${url.search}>; rel="next"`);
}
