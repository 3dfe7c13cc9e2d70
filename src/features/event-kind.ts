import { z } from 'zod';

/** One version of one type of event: what happened, what it happened to, and the schema of its `data`. */
export interface EventKind {
  readonly summary: string;
  /** What the key identifies; events are ordered by key. */
  readonly keyedBy: string;
  /** Set if the event is not in the log and only posted to a webhook. */
  readonly isForWebhooksOnly?: true;
  /** Strict: Atlas writes exactly this. Readers must expect members that are added later. */
  readonly data: z.ZodType;
}

/** The id of something that an event is about: a UUID of any version, in lower case. */
export const eventId = (description: string) =>
  z
    .string()
    .regex(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    .meta({ format: 'uuid', description });
