import { z } from '@hono/zod-openapi';
import { TimestampSchema, UuidSchema } from '../../http/schemas.ts';
import { AMOUNT_MINOR_MAX } from '../../utils/money.ts';
import { LIMIT_MAXIMA } from './limit.ts';

const CountSchema = z.int().min(0).max(AMOUNT_MINOR_MAX);

export const ExceededLimitSchema = z
  .strictObject({
    id: UuidSchema,
    name: z.string(),
    maximum: z.enum(LIMIT_MAXIMA).openapi({ description: 'Which maximum of the limit.' }),
    max: CountSchema,
    used: CountSchema.nullable().openapi({ description: 'Null for `transferAmount`.' }),
    remaining: CountSchema,
    resetsAt: TimestampSchema.nullable().openapi({
      description: 'When the hour or day ends; null if it never counts from 0 again.',
    }),
  })
  .openapi('ExceededLimit', { description: 'The limit that refused a transfer, and what is left of it.' });
