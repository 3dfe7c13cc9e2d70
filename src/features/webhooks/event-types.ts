import { z } from 'zod';
import { type EventKind, eventId } from '../event-kind.ts';

/** Events of webhooks. */
export const webhookEventTypes = {
  'webhook.disabled.v1': {
    summary: 'A webhook was disabled. Nothing more is sent to it.',
    keyedBy: 'the webhook',
    data: z.strictObject({
      webhookId: eventId('The webhook.'),
      url: z.string(),
      reason: z.string().meta({ description: 'Human-readable reason for disabling the webhook.' }),
    }),
  },
  'webhook.test.v1': {
    summary: 'A test event, sent on request. Nothing happened.',
    keyedBy: 'this one event',
    isForWebhooksOnly: true,
    data: z.strictObject({ webhookId: eventId('The webhook.') }),
  },
} as const satisfies Record<string, EventKind>;
