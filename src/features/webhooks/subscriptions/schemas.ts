import { z } from '@hono/zod-openapi';
import { TimestampSchema, textSchema, UuidSchema } from '../../../http/schemas.ts';

const URL_LENGTH_MAX = 2048;
const DESCRIPTION_LENGTH_MAX = 500;
const EVENT_TYPES_MAX = 50;
const IF_MATCH_LENGTH_MAX = 200;

const TargetSchema = z
  .string()
  .max(URL_LENGTH_MAX, `must have at most ${URL_LENGTH_MAX} characters`)
  .regex(/^[hH][tT][tT][pP][sS]?:\/\/[!-~]+$/, 'must be a URL that starts with https:// and is encoded')
  .refine((text) => URL.canParse(text) && new URL(text).href.length <= URL_LENGTH_MAX, 'must be a URL')
  .openapi({
    example: 'https://hooks.example.com/atlas',
    description: 'Where events are posted to: https, and a host with public addresses only.',
  });
const DescriptionSchema = textSchema(DESCRIPTION_LENGTH_MAX);

const webhookMembers = {
  id: UuidSchema,
  url: z.string(),
  eventTypes: z
    .array(z.string())
    .nullable()
    .openapi({ description: 'The types of events that are sent; null for all.' }),
  description: z.string().nullable(),
  enabled: z.boolean(),
  disabledReason: z
    .enum(['failing', 'gone'])
    .nullable()
    .openapi({ description: 'Why Atlas has disabled it; null where its owner did.' }),
  disabledAt: TimestampSchema.nullable(),
  failingSince: TimestampSchema.nullable().openapi({
    description: 'Since when every attempt has failed; null when the last one did not.',
  }),
  oldSecretUntil: TimestampSchema.nullable().openapi({
    description: 'Until when deliveries are signed with the secret of before the last rotation too.',
  }),
  createdAt: TimestampSchema,
};

export const WebhookSchema = z.strictObject(webhookMembers).openapi('Webhook');

export const NewWebhookResponseSchema = z
  .strictObject({
    ...webhookMembers,
    secret: z.string().openapi({
      example: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw4e5WmHj0oLk=',
      description: 'Verifies signatures. It is never shown again.',
    }),
  })
  .openapi('WebhookWithSecret');

export const WebhookPageSchema = z
  .strictObject({ webhooks: z.array(WebhookSchema), nextCursor: z.string().nullable() })
  .openapi('WebhookPage');

const eventTypesSchema = (known: readonly [string, ...string[]]) =>
  z
    .array(z.enum(known))
    .min(1)
    .max(EVENT_TYPES_MAX)
    .transform((types) => [...new Set(types)]);

/** What makes a webhook, over the types of events that there are. */
export const newWebhookSchema = (knownTypes: readonly [string, ...string[]]) =>
  z
    .strictObject({
      url: TargetSchema,
      eventTypes: eventTypesSchema(knownTypes)
        .optional()
        .openapi({ description: 'The types of events to send. All by default, also those that come later.' }),
      description: DescriptionSchema.optional(),
    })
    .openapi('NewWebhook');

/** What may be changed of a webhook. */
export const webhookChangeSchema = (knownTypes: readonly [string, ...string[]]) =>
  z
    .strictObject({
      url: TargetSchema.optional(),
      eventTypes: eventTypesSchema(knownTypes)
        .nullable()
        .optional()
        .openapi({ description: 'Null for all types.' }),
      description: DescriptionSchema.nullable().optional(),
      enabled: z
        .boolean()
        .optional()
        .openapi({ description: 'While false, nothing is sent and new events are not kept for it.' }),
    })
    .openapi('WebhookChange');

export const IfMatchHeadersSchema = z.object({
  'If-Match': z
    .string()
    .max(IF_MATCH_LENGTH_MAX)
    .optional()
    .openapi({ description: 'The ETag that was read. Without it the answer is 428.', example: '"3"' }),
});
