import { z } from '@hono/zod-openapi';
import type { AtlasContext } from './route.ts';

/**
 * An opaque cursor of the position after which a list goes on (keyset pagination). `form` must fit only texts that
 * `parse` can read: then the document says exactly which cursors are accepted, and any other is refused as bad input.
 */
export const cursorSchema = <T>(form: RegExp, parse: (cursor: string) => T) =>
  z.string().regex(form, 'must be a cursor that this list answered').transform(parse);

/** A whole number of a cursor, in hexadecimal digits of a fixed width. */
export function toHex(value: number | bigint, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

/** Points to the next page with a `Link` header (RFC 8288), by the path and query that were asked. */
export function linkNext(c: AtlasContext, nextCursor: string | null): void {
  if (nextCursor === null) return;
  const url = new URL(c.req.url);
  url.searchParams.set('cursor', nextCursor);
  c.header('Link', `<${url.pathname}${url.search}>; rel="next"`);
}
