import { z } from '@hono/zod-openapi';
import { NextCursorSchema, TimestampSchema, textSchema, UuidSchema } from '../../../http/schemas.ts';
import { DEMO_URL } from '../../../utils/demo-data.ts';

const URL_LENGTH_MAX = 2048;
const DESCRIPTION_LENGTH_MAX = 500;
const EVENT_TYPES_MAX = 50;
const IF_MATCH_LENGTH_MAX = 200;

const TargetSchema = z
  .string()
  .max(URL_LENGTH_MAX, `must have at most ${URL_LENGTH_MAX} characters`)
  .regex(/^[hH][tT][tT][pP][sS]?:\/\/[!-~]+$/, {
    error: 'must be a percent-encoded URL that starts with https://',
    abort: true,
  })
  .refine((text) => URL.canParse(text) && new URL(text).href.length <= URL_LENGTH_MAX, 'must be a URL')
  .openapi({
    example: DEMO_URL,
    description:
      'The URL that events are posted to. It must use https, and its host must have only public addresses, unless the operator allows the host.',
  });
const DescriptionSchema = textSchema(DESCRIPTION_LENGTH_MAX);

const webhookMembers = {
  id: UuidSchema,
  url: z.string(),
  eventTypes: z
    .array(z.string())
    .nullable()
    .openapi({ description: 'The event types to send; null for all.' }),
  description: z.string().nullable(),
  enabled: z.boolean(),
  disabledReason: z.enum(['failing', 'gone']).nullable().openapi({
    description: 'Why Atlas disabled the webhook; null if it is enabled, or was disabled by its owner.',
  }),
  disabledAt: TimestampSchema.nullable(),
  failingSince: TimestampSchema.nullable().openapi({
    description: 'When the current series of failed attempts started; null if the last attempt did not fail.',
  }),
  oldSecretUntil: TimestampSchema.nullable().openapi({
    description: 'Deliveries are also signed with the previous secret until this time.',
  }),
  createdAt: TimestampSchema,
};

export const WebhookSchema = z.strictObject(webhookMembers).openapi('Webhook');

export const NewWebhookResponseSchema = z
  .strictObject({
    ...webhookMembers,
    secret: z.string().openapi({
      example: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw4e5WmHj0oLk=',
      description: 'The secret to verify signatures with. It is not shown again.',
    }),
  })
  .openapi('WebhookWithSecret');

export const WebhookPageSchema = z
  .strictObject({ webhooks: z.array(WebhookSchema), nextCursor: NextCursorSchema })
  .openapi('WebhookPage');

const eventTypesSchema = (types: readonly [string, ...string[]]) =>
  z
    .array(z.enum(types))
    .min(1)
    .max(EVENT_TYPES_MAX)
    .transform((chosen) => [...new Set(chosen)]);

/** The body that creates a webhook, for the given event types. */
export const newWebhookSchema = (types: readonly [string, ...string[]]) =>
  z
    .strictObject({
      url: TargetSchema,
      eventTypes: eventTypesSchema(types)
        .nullish()
        .openapi({ description: 'The event types to send. The default is all, including future ones.' }),
      description: DescriptionSchema.nullish(),
    })
    .openapi('NewWebhook');

/** The body that changes a webhook. */
export const webhookChangeSchema = (types: readonly [string, ...string[]]) =>
  z
    .strictObject({
      url: TargetSchema.optional(),
      eventTypes: eventTypesSchema(types)
        .nullish()
        .openapi({ description: 'The event types to send; null for all.' }),
      description: DescriptionSchema.nullish(),
      enabled: z
        .boolean()
        .optional()
        .openapi({ description: 'While false, nothing is sent, and new events are not queued for it.' }),
    })
    .openapi('WebhookChange');

export const IfMatchHeadersSchema = z.object({
  'If-Match': z.string().max(IF_MATCH_LENGTH_MAX).optional().openapi({
    description: 'The ETag you read, or `*` for any version. Without it the response is 428.',
    example: '*',
  }),
});
