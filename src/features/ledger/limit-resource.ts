import type { z } from '@hono/zod-openapi';
import type { Exchange } from '../../envelope/exchange.ts';
import type { Fields } from '../../envelope/response-headers.ts';
import { etagOf } from '../../http/etag.ts';
import type { Limit, LimitWithAccounts, NewLimit } from './limit-content.ts';
import type { NewLimitSchema } from './limit-schemas.ts';

/** The letter keeps the cursors of different lists apart. */
export const LIMIT_CURSOR = 'l';

/** The header of a limit. */
export const ETAG = {
  ETag: {
    description: 'Changes when PATCH changes the limit, and not with what is used. For If-Match',
    schema: { type: 'string' },
  },
};

/** Why a limit is not written. */
export const WRITE_REFUSALS = ['unknown_account', 'different_ledgers', 'too_many_limits'] as const;

/** Returns a limit as requested, with the defaults. */
export function toNewLimit(body: z.output<typeof NewLimitSchema>): NewLimit {
  const accountIds = body.accountIds ?? null;
  return {
    name: body.name,
    ledger: body.ledger,
    counts: body.counts ?? 'debits',
    countsInternal: body.countsInternal ?? accountIds === null,
    maxima: body.maxima,
    accountIds,
  };
}

export function toResource<T extends Limit>({ revision: _, ...limit }: T): Omit<T, 'revision'> {
  return limit;
}

/** Responds with a limit and its ETag. */
export function respondWithLimit(
  exchange: Exchange,
  limit: LimitWithAccounts,
  status: 200 | 201 = 200,
  fields: Fields = {},
): Response {
  return exchange.json(toResource(limit), status, { ETag: etagOf(limit.revision), ...fields });
}
