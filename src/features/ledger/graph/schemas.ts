import { z } from '@hono/zod-openapi';
import { NextCursorSchema, TimeSchema, TimestampSchema, UuidSchema } from '../../../http/schemas.ts';
import { AMOUNT_MINOR_MAX } from '../../../utils/money.ts';
import { DEPTH_MAX } from './domain.ts';

const DEPTH_DEFAULT = 4;

const FLOW = {
  amount: z.int().min(1).max(AMOUNT_MINOR_MAX).openapi({ description: 'Their sum, in minor units.' }),
  transfers: z.int().min(1).openapi({ description: 'How many transfers were read.' }),
  firstAt: TimestampSchema.openapi({ description: 'When the oldest of them was posted.' }),
  lastAt: TimestampSchema.openapi({ description: 'When the newest of them was posted.' }),
};
// Without a name of its own: a reference that may be null is more than some generators of clients understand.
const flowSchema = (description: string) => z.strictObject(FLOW).nullable().openapi({ description });

const SEARCH = {
  truncated: z.boolean().openapi({
    description: 'Whether a bound was reached, so that there may be more transfers or paths than these.',
  }),
  transfersRead: z.int().min(0).openapi({ description: 'How many transfers were read.' }),
};

export const NeighborPageSchema = z
  .strictObject({
    neighbors: z.array(
      z
        .strictObject({
          accountId: UuidSchema,
          isOwn: z.boolean().openapi({ description: 'Whether the account is one of your organization.' }),
          sent: flowSchema('What the account has paid to it.'),
          received: flowSchema('What the account was paid by it.'),
        })
        .openapi('Neighbor'),
    ),
    nextCursor: NextCursorSchema,
    ...SEARCH,
  })
  .openapi('NeighborPage');

const EdgeSchema = z
  .strictObject({ debitAccountId: UuidSchema, creditAccountId: UuidSchema, ...FLOW })
  .openapi('Edge', { description: 'The transfers from one account to another, together.' });
const PathSchema = z.strictObject({
  edges: z.array(EdgeSchema).min(1).max(DEPTH_MAX).openapi({
    description: 'In the direction of the money: each begins where the one before has ended.',
  }),
});

export const PathListSchema = z.strictObject({ paths: z.array(PathSchema), ...SEARCH }).openapi('PathList');
export const CycleListSchema = z
  .strictObject({ cycles: z.array(PathSchema), ...SEARCH })
  .openapi('CycleList');

export const SinceSchema = TimeSchema.optional().openapi({
  description: 'Only transfers that were posted at this time or later.',
  param: { name: 'since', in: 'query', schema: { type: 'string', format: 'date-time' } },
});

export const MaxDepthSchema = z
  .string()
  .regex(/^[1-6]$/, `must be a whole number from 1 to ${DEPTH_MAX}`)
  .transform(Number)
  .default(DEPTH_DEFAULT)
  .openapi({
    description: 'The longest path, in edges.',
    param: {
      name: 'maxDepth',
      in: 'query',
      schema: { type: 'integer', minimum: 1, maximum: DEPTH_MAX, default: DEPTH_DEFAULT },
    },
  });
