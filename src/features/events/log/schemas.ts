import { z } from '@hono/zod-openapi';
import { cursorSchema } from '../../../http/cursor.ts';
import { pageQuerySchema, TimestampSchema, UuidSchema } from '../../../http/schemas.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import { CURSOR_FORM, EVENT_ID_FORM, parseCursor } from './domain.ts';

export const EventSchema = z
  .strictObject({
    specversion: z.literal('1.0'),
    id: z.string().openapi({
      description: 'Key and sequence. Deduplicate by this ID.',
      example: '0198c0de-0000-7000-8000-000000000001:7',
    }),
    source: z.literal('atlas'),
    type: z.string().openapi({
      description: 'What happened, with the version of the schema of `data`.',
      example: 'account.debited.v1',
    }),
    subject: z.string().openapi({ description: 'The key: the ID of the account, file, or webhook.' }),
    time: TimestampSchema,
    datacontenttype: z.literal('application/json'),
    sequence: z
      .string()
      .openapi({ description: 'Sequence number of the event within its key, without gaps.', example: '7' }),
    sequencetype: z.literal('Integer'),
    data: z
      .record(z.string(), z.unknown())
      .openapi({ description: 'Depends on the type; see /asyncapi.json. Members may be added.' }),
    position: z.string().openapi({
      description:
        'Position among all events of this Atlas deployment. The events of one owner are in this order, with gaps.',
      example: '4711',
    }),
  })
  .openapi('Event', { description: 'A CloudEvent (1.0) with the extensions `sequence` and `position`.' });

const CursorSchema = cursorSchema(
  CURSOR_FORM,
  parseCursor,
  'must be a cursor of the list or an ID of the stream, such as e0000000000007',
);
const NextCursorSchema = z
  .string()
  .nullable()
  .openapi({ description: 'Cursor of the next page; null if there are no more events now.' });

export const EventPageSchema = z
  .strictObject({
    events: z.array(EventSchema),
    nextCursor: NextCursorSchema,
    resumeCursor: z.string().openapi({
      description: 'Always present. Send it as `cursor` later to get newer events.',
    }),
  })
  .openapi('EventPage');

export const eventQuerySchema = (types: readonly [string, ...string[]]) =>
  pageQuerySchema(CursorSchema).extend({
    type: z.enum(types).optional().openapi({ description: 'Return only events of this type.' }),
    key: UuidSchema.optional().openapi({
      // An optional parameter has no example: forms would send it.
      example: undefined,
      description: 'Return only events of the account, file, or webhook with this ID.',
    }),
  });

export const EventIdSchema = z
  .string()
  // Keys are UUIDs.
  .toLowerCase()
  .regex(EVENT_ID_FORM, 'must be an event ID: a key, a colon, and a sequence')
  .openapi({ example: `${DEMO.alice}:1` });

export const StreamQuerySchema = z.strictObject({
  after: CursorSchema.optional().openapi({
    description: 'Resume after this event ID of a stream, or this cursor of GET /v1/events.',
  }),
  from: z.enum(['now', 'beginning']).optional().openapi({
    description: 'Where to start if neither `after` nor Last-Event-ID is sent. The default is `now`.',
  }),
});

export const StreamHeadersSchema = z.object({
  'Last-Event-ID': CursorSchema.optional().openapi({
    description: 'The last event ID received. Takes precedence over `after` and `from`.',
  }),
});
