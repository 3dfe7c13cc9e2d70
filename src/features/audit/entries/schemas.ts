import { z } from '@hono/zod-openapi';
import {
  NextCursorSchema,
  pageQuerySchema,
  TimeSchema,
  TimestampSchema,
  textSchema,
} from '../../../http/schemas.ts';
import type { EntryPosition } from './repository.ts';

const FILTER_LENGTH_MAX = 200;

const ActorSchema = z
  .strictObject({
    kind: z.enum(['key', 'session', 'user', 'operator', 'command', 'system']).openapi({
      description: '`system` is Atlas itself.',
    }),
    id: z.string().openapi({
      description:
        'The ID of a key, session, or user, the user and host of a command, or the part of Atlas that did it.',
    }),
    userId: z.string().optional().openapi({ description: 'Whose session it is.' }),
    requestId: z.string().optional(),
    address: z.string().optional().openapi({ description: 'The address that the request came from.' }),
  })
  .openapi('AuditActor');

const EntrySchema = z
  .strictObject({
    id: z.string().openapi({ example: '4711' }),
    occurredAt: TimestampSchema,
    actor: ActorSchema,
    action: z.string().openapi({ example: 'api_key.revoked' }),
    target: z.strictObject({ type: z.string(), id: z.string() }),
    before: z.record(z.string(), z.unknown()).nullable(),
    after: z.record(z.string(), z.unknown()).nullable(),
    position: z.int().nullable().openapi({
      description: 'Its position in the chain of seals, over all organizations; null for about a second.',
    }),
  })
  .openapi('AuditEntry');

export const EntryPageSchema = z
  .strictObject({ entries: z.array(EntrySchema), nextCursor: NextCursorSchema })
  .openapi('AuditPage');

/** The query of the audit log, for the cursors of its list. */
export const entryQuerySchema = (cursor: z.ZodType<EntryPosition, string>) =>
  pageQuerySchema(cursor).extend({
    action: textSchema(FILTER_LENGTH_MAX).optional().openapi({ description: 'Only this action.' }),
    actorId: textSchema(FILTER_LENGTH_MAX).optional().openapi({ description: 'Only changes by this actor.' }),
    targetId: textSchema(FILTER_LENGTH_MAX)
      .optional()
      .openapi({ description: 'Only changes of this target.' }),
    'occurredAt[gte]': TimeSchema.optional().openapi({
      description: 'Only entries from this time on.',
      param: { name: 'occurredAt[gte]', in: 'query', schema: { type: 'string', format: 'date-time' } },
    }),
    'occurredAt[lt]': TimeSchema.optional().openapi({
      description: 'Only entries before this time.',
      param: { name: 'occurredAt[lt]', in: 'query', schema: { type: 'string', format: 'date-time' } },
    }),
    format: z.enum(['json', 'csv']).default('json').openapi({ description: 'The format of the page.' }),
  });
