import type { z } from 'zod';
import { AtlasError } from '../errors.ts';
import type { AtlasContext } from './route.ts';

/** An opaque cursor of the position after which a list goes on (keyset pagination). */
export function encodeCursor(position: unknown): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url');
}

/** The position in a cursor, or null for the first page. Throws `invalid_request` for a cursor that no list made. */
export function decodeCursor<T>(cursor: string | undefined, schema: z.ZodType<T>): T | null {
  if (cursor === undefined) return null;
  const position = schema.safeParse(parseOrNull(Buffer.from(cursor, 'base64url').toString()));
  if (position.success) return position.data;
  const detail = 'must be a cursor that this list answered';
  throw new AtlasError('invalid_request', 'The cursor is not valid.', {
    errors: [{ pointer: '/query/cursor', detail }],
  });
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Points to the next page with a `Link` header (RFC 8288), by the path and query that were asked. */
export function linkNext(c: AtlasContext, nextCursor: string | null): void {
  if (nextCursor === null) return;
  const url = new URL(c.req.url);
  url.searchParams.set('cursor', nextCursor);
  c.header('Link', `<${url.pathname}${url.search}>; rel="next"`);
}
