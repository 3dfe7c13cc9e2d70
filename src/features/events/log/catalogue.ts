import { z } from 'zod';
import type { EventKind } from '../../event-kind.ts';

/**
 * Every event type. Once released, a version may only gain members; any other change is a new version next to the old
 * one. Released schemas are frozen under `tests/contract/events/event-schemas`.
 */
export type EventCatalogue = Readonly<Record<string, EventKind>>;

/** The types in the log, which can be listed, streamed, and subscribed to by a webhook. */
export function loggedTypes(catalogue: EventCatalogue): [string, ...string[]] {
  return Object.keys(catalogue).filter((type) => !catalogue[type]!.isForWebhooksOnly) as [
    string,
    ...string[],
  ];
}

/**
 * Returns the JSON Schema (draft 7, which AsyncAPI uses) of an event's `data` for consumers. It allows unknown members,
 * so that adding one breaks no consumer.
 */
export function dataSchemaOf({ data }: EventKind): Record<string, unknown> {
  const { $schema: _, ...schema } = z.toJSONSchema(data, {
    target: 'draft-7',
    override: ({ jsonSchema }) => {
      if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
    },
  });
  return schema;
}
