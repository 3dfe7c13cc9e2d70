import type { EventKind } from '../../event-kind.ts';
import { dataSchemaOf } from './catalogue.ts';

export type JsonObject = Record<string, unknown>;

/** Returns the JSON Schema of a complete event of the type. */
export function payloadOf(type: string, kind: EventKind): JsonObject {
  const properties = {
    specversion: { const: '1.0' },
    id: { type: 'string', description: 'Key and sequence. Deduplicate by this ID.' },
    source: { const: 'atlas' },
    type: { const: type },
    subject: { type: 'string', description: 'The key.' },
    time: { type: 'string', format: 'date-time', description: 'When it happened, in UTC.' },
    datacontenttype: { const: 'application/json' },
    sequence: {
      type: 'string',
      pattern: '^\\d+$',
      description: 'Sequence number of the event within its key.',
    },
    sequencetype: { const: 'Integer' },
    data: dataSchemaOf(kind),
  };
  return { type: 'object', properties, required: Object.keys(properties) };
}
