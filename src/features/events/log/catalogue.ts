import { z } from 'zod';
import type { EventKind } from '../../event-kind.ts';

/**
 * Every event that Atlas writes, by type. A released version may gain members and nothing else; any other change is a
 * new version beside the old one. The released schemas are frozen under `tests/contract/events/event-schemas`.
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
 * The schema of an event's `data` as JSON Schema (draft 7, which AsyncAPI builds on), for readers: it allows members that
 * it does not name, so that adding one breaks nobody.
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
