import { z } from 'zod';

/** One version of an event type: its summary, its key, and the schema of its `data`. */
export interface EventKind {
  readonly summary: string;
  /** What the key identifies; events are ordered by key. */
  readonly keyedBy: string;
  /** Set if the event is only posted to webhooks and not in the log. */
  readonly isForWebhooksOnly?: true;
  /** Strict: Atlas writes exactly this. Readers must tolerate members that are added later. */
  readonly data: z.ZodType;
}

/** Creates the schema of an ID in an event: a UUID of any version, in lowercase. */
export const eventId = (description: string) =>
  z
    .string()
    .regex(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    .meta({ format: 'uuid', description });
