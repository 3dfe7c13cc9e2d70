import { z } from '@hono/zod-openapi';
import { cursorSchema } from '../../../http/cursor.ts';
import { pageQuerySchema, TimestampSchema, UuidSchema } from '../../../http/schemas.ts';
import { CURSOR_FORM, EVENT_ID_FORM, parseCursor } from './domain.ts';

export const EventSchema = z
  .strictObject({
    specversion: z.literal('1.0'),
    id: z.string().openapi({
      description: 'Key and sequence. The same however often the event is sent.',
      example: '0198c0de-0000-7000-8000-000000000001:7',
    }),
    source: z.literal('atlas'),
    type: z
      .string()
      .openapi({ description: 'What happened, with the version of `data`.', example: 'account.debited.v1' }),
    subject: z.string().openapi({ description: 'The key: the id of what it happened to.' }),
    time: TimestampSchema,
    datacontenttype: z.literal('application/json'),
    sequence: z
      .string()
      .openapi({ description: 'Counts the events of the key, without a gap.', example: '7' }),
    sequencetype: z.literal('Integer'),
    data: z
      .record(z.string(), z.unknown())
      .openapi({ description: 'By type and version, as /asyncapi.json has it. Expect further members.' }),
    position: z.string().openapi({
      description: 'Counts all events of this Atlas. Those of one owner are in its order, with gaps.',
      example: '4711',
    }),
  })
  .openapi('Event', { description: 'A CloudEvent (1.0) with the extensions sequence and position.' });

const CursorSchema = cursorSchema(CURSOR_FORM, parseCursor);
const NextCursorSchema = z.string().nullable().openapi({ description: 'Null when there is no more now.' });

export const EventPageSchema = z
  .strictObject({
    events: z.array(EventSchema),
    nextCursor: NextCursorSchema,
    resumeCursor: z.string().openapi({
      description: 'Always there. Keep it, and send it as `cursor` later to get what has come since.',
    }),
  })
  .openapi('EventPage');

export const eventQuerySchema = (types: readonly [string, ...string[]]) =>
  pageQuerySchema(CursorSchema).extend({
    type: z.enum(types).optional().openapi({ description: 'Only events of this type.' }),
    key: UuidSchema.optional().openapi({
      description: 'Only events of this account, file or webhook, by its id.',
    }),
  });

export const EventIdSchema = z
  .string()
  .regex(EVENT_ID_FORM, 'must be an id of an event: a key, a colon and a sequence')
  .openapi({ example: '0198c0de-0000-7000-8000-000000000001:7' });

export const StreamQuerySchema = z.strictObject({
  after: CursorSchema.optional().openapi({
    description: 'Go on after this: an id of the stream, or a cursor of GET /v1/events.',
  }),
  from: z.enum(['now', 'beginning']).optional().openapi({
    description: 'Where to begin without `after` and Last-Event-ID. `now` by default.',
  }),
});

export const StreamHeadersSchema = z.object({
  'Last-Event-ID': CursorSchema.optional().openapi({
    description: 'The last id that was received. Comes before `after` and `from`.',
  }),
});
