import type { EventKind } from '../../event-kind.ts';
import type { EventCatalogue } from './catalogue.ts';
import { payloadOf } from './event-payload.ts';

const header = (name: string, description: string) => ({
  name,
  in: 'header',
  required: true,
  description,
  schema: { type: 'string' },
});

const HEADERS = [
  header('webhook-id', 'ID of the event, the same for every attempt. Deduplicate by it.'),
  header('webhook-timestamp', 'When this attempt was signed, in seconds since 1970.'),
  header(
    'webhook-signature',
    'Signatures with the secrets of the webhook, separated by spaces (Standard Webhooks).',
  ),
];

/** Returns the `webhooks` of the OpenAPI document: what Atlas posts to webhooks, by event type. */
export function openApiWebhooks(catalogue: EventCatalogue): Record<string, object> {
  return Object.fromEntries(Object.entries(catalogue).map(([type, kind]) => [type, webhookOf(type, kind)]));
}

function webhookOf(type: string, kind: EventKind): object {
  const post = {
    summary: kind.summary,
    description: `Posted to each webhook that subscribes to \`${type}\`. The subject is the ID of ${kind.keyedBy}.`,
    tags: ['Webhooks'],
    security: [],
    parameters: HEADERS,
    requestBody: { required: true, content: { 'application/json': { schema: payloadOf(type, kind) } } },
    responses: {
      '2XX': { description: 'Received. Any other status is retried.' },
      410: { description: 'Disables the webhook.' },
    },
  };
  return { post };
}
