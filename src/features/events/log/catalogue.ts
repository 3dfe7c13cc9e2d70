import { z } from 'zod';
import { AMOUNT_MINOR_MAX } from '../../../utils/money.ts';

// Accounts may have ids of any version of UUID, also of those that do not exist yet.
const id = (description: string) =>
  z
    .string()
    .regex(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    .meta({ format: 'uuid', description });
const texts = z
  .record(z.string(), z.string())
  .meta({ description: 'Short texts of whoever made it, as they were given.' });
const ledger = z
  .string()
  .regex(/^[A-Z]{3}$/)
  .meta({ description: 'The currency (ISO 4217).' });

const transferSide = z.strictObject({
  transferId: id('The transfer. Its other account has an event of its own.'),
  accountId: id('The account of this event, which is its key.'),
  counterpartyAccountId: id('The account on the other side.'),
  ledger,
  amount: z.int().min(1).max(AMOUNT_MINOR_MAX).meta({ description: 'Whole minor units, such as cents.' }),
  reference: z.string().nullable(),
  metadata: texts,
});

/** One version of one type of event: what happened, what it happened to, and the form of its `data`. */
export interface EventKind {
  readonly summary: string;
  /** What the key is, and so what the events are ordered by. */
  readonly keyedBy: string;
  /** Whether it is in no log, and only posted to a webhook. */
  readonly isForWebhooksOnly?: true;
  /** Strict: Atlas writes exactly this. Readers are told to expect members that are added later. */
  readonly data: z.ZodType;
}

/**
 * Every event that Atlas writes. A version, once released, may gain members and nothing else; any other change is a new
 * version beside the old one. The released forms are frozen under `tests/contract/events/event-schemas`.
 */
export const EVENT_CATALOGUE = {
  'account.opened.v1': {
    summary: 'An account was opened.',
    keyedBy: 'the account',
    data: z.strictObject({
      accountId: id('The account.'),
      ledger,
      name: z.string().nullable(),
      kind: z.enum(['asset', 'liability', 'equity', 'income', 'expense']).nullable(),
      allowNegative: z.boolean().meta({ description: 'Whether the balance may fall below zero.' }),
      metadata: texts,
    }),
  },
  'account.debited.v1': {
    summary: 'An account paid a transfer.',
    keyedBy: 'the account',
    data: transferSide,
  },
  'account.credited.v1': {
    summary: 'An account was paid by a transfer.',
    keyedBy: 'the account',
    data: transferSide,
  },
  'file.stored.v1': {
    summary: 'A file is complete, and its bytes are what its checksum says.',
    keyedBy: 'the file',
    data: z.strictObject({
      fileId: id('The file.'),
      name: z.string(),
      mediaType: z.string(),
      sizeBytes: z.int().min(0),
      sha256: z
        .string()
        .regex(/^[0-9a-f]{64}$/)
        .meta({ description: 'SHA-256 of the bytes, in hex.' }),
    }),
  },
  'file.deleted.v1': {
    summary: 'A file was deleted.',
    keyedBy: 'the file',
    data: z.strictObject({ fileId: id('The file.') }),
  },
  'webhook.disabled.v1': {
    summary: 'A webhook is sent nothing any more.',
    keyedBy: 'the webhook',
    data: z.strictObject({
      webhookId: id('The webhook.'),
      url: z.string(),
      reason: z.string().meta({ description: 'Why it was disabled, for people.' }),
    }),
  },
  'webhook.test.v1': {
    summary: 'Somebody wanted to see whether a webhook works. Nothing happened.',
    keyedBy: 'this one event',
    isForWebhooksOnly: true,
    data: z.strictObject({ webhookId: id('The webhook.') }),
  },
} as const satisfies Record<string, EventKind>;

export type EventType = keyof typeof EVENT_CATALOGUE;
export const ALL_EVENT_TYPES = Object.keys(EVENT_CATALOGUE) as [EventType, ...EventType[]];
/** Those of the log, which can be listed, followed and asked for by a webhook. */
export const EVENT_TYPES = ALL_EVENT_TYPES.filter(
  (type) => !('isForWebhooksOnly' in EVENT_CATALOGUE[type]),
) as [EventType, ...EventType[]];

/**
 * The form of an event's `data` as JSON Schema (draft 7, which AsyncAPI builds on), for readers: members that it does
 * not name are allowed, so that adding one breaks nobody.
 */
export function dataSchemaOf(type: EventType): Record<string, unknown> {
  const { $schema: _, ...schema } = z.toJSONSchema(EVENT_CATALOGUE[type].data, {
    target: 'draft-7',
    override: ({ jsonSchema }) => {
      if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
    },
  });
  return schema;
}
