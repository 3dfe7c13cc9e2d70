import { z } from '@hono/zod-openapi';
import type { Fields } from '../envelope/response-headers.ts';

const KEY_RULE = 'must be 1 to 255 visible ASCII characters, unique per request and unchanged for retries';
const KEY = /^[!-~]{1,255}$/;
// An empty header is none: clients send it for a field that is left empty.
const KEY_OR_NONE = /^[!-~]{0,255}$/;

const NO_FIELDS = {};

/** The documentation of the header that marks a replayed response. */
export const REPLAYED = {
  'Idempotency-Replayed': {
    description: '`true` if the response is replayed from an earlier request',
    schema: { type: 'string' },
  },
} as const;

/** The header that marks a replayed response. */
export const IS_REPLAYED = { 'Idempotency-Replayed': 'true' };

/** Returns the fields of a response that may be replayed. */
export function replayedFields(isReplayed: boolean): Fields {
  return isReplayed ? IS_REPLAYED : NO_FIELDS;
}

/** Distinguishes retries from new requests (draft-ietf-httpapi-idempotency-key-header). */
export const idempotencyHeadersSchema = (example: string) =>
  z.object({
    'Idempotency-Key': z.string(`is required and ${KEY_RULE}`).regex(KEY, KEY_RULE).openapi({
      description: 'Unique key of the request: 1 to 255 visible ASCII characters, unchanged for retries.',
      example,
    }),
  });

/** The same for requests that may come without it. */
export const OptionalIdempotencyHeadersSchema = z.object({
  'Idempotency-Key': z.string().regex(KEY_OR_NONE, KEY_RULE).optional().openapi({
    description:
      'Unique key of the request: 1 to 255 visible ASCII characters, unchanged for retries. Without it, every retry that arrives is a new request.',
  }),
});
