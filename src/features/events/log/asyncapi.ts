import type { EventKind } from '../../event-kind.ts';
import { dataSchemaOf, type EventCatalogue, loggedTypes } from './catalogue.ts';

type JsonObject = Record<string, unknown>;

const reference = (to: string) => ({ $ref: `#/${to}` });

interface Transport {
  readonly operation: string;
  readonly summary: string;
  /** Whether it also carries the types that are in no log. */
  readonly carriesAll?: true;
  readonly channel: JsonObject;
}

/** Each transport of events in terms of AsyncAPI: a channel, and the operation that Atlas performs on it. */
const TRANSPORTS: Readonly<Record<string, Transport>> = {
  kafka: {
    operation: 'publishEvents',
    summary: 'Every event of every owner, in Kafka.',
    channel: {
      address: '{prefix}.events',
      title: 'The topic',
      description:
        'One message for each event, with the key of the event as its key, so that the events of a key are in one partition and in order. Published in transactions: read with isolation level read_committed. A message can come twice, with the same id. The extension attribute owner says whose it is.',
      parameters: { prefix: { default: 'atlas', description: 'KAFKA_TOPIC_PREFIX.' } },
    },
  },
  stream: {
    operation: 'streamEvents',
    summary: 'The events of one owner, as they come (server-sent events).',
    channel: {
      address: '/v1/events/stream',
      title: 'The stream',
      description:
        'GET with an API key of the scope events:read. Each event has the message as its data, the type as its event, and as its id where to go on after: send it as Last-Event-ID, and nothing is missed and nothing comes twice.',
    },
  },
  webhooks: {
    carriesAll: true,
    operation: 'deliverEvents',
    summary: 'The events of one owner, posted to its webhooks.',
    channel: {
      address: null,
      title: 'The webhooks',
      description:
        'POST to the URL of each webhook of the owner that asks for the type, signed as Standard Webhooks describes, as application/json. A delivery can come twice, with the same webhook-id, and out of order: `sequence` orders those of a key.',
    },
  },
};

/** The AsyncAPI 3.0 document of every event that Atlas sends. Committed under `docs/api`; a test compares the two. */
export function asyncApiDocument(version: string, catalogue: EventCatalogue): object {
  const messages = Object.fromEntries(
    Object.entries(catalogue).map(([type, kind]) => [type, messageOf(type, kind)]),
  );
  const channels = Object.entries(TRANSPORTS).map(([name, { channel, carriesAll }]) => {
    const types = carriesAll ? Object.keys(catalogue) : loggedTypes(catalogue);
    const carried = types.map((type) => [type, reference(`components/messages/${type}`)]);
    return [name, { ...channel, messages: Object.fromEntries(carried) }];
  });
  const operations = Object.entries(TRANSPORTS).map(([name, { operation, summary }]) => [
    operation,
    { action: 'send', summary, channel: reference(`channels/${name}`) },
  ]);
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Atlas events',
      version,
      description:
        'What Atlas tells of what happened: CloudEvents 1.0 as JSON, the same on every way. In Kafka and in the stream, events of one key come in the order of their sequence, without a gap. A version of a type may gain members, so ignore what you do not know; any other change is a new version.',
      license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
    },
    defaultContentType: 'application/cloudevents+json',
    channels: Object.fromEntries(channels),
    operations: Object.fromEntries(operations),
    components: { messages },
  };
}

function messageOf(type: string, kind: EventKind): JsonObject {
  const { summary, keyedBy } = kind;
  return {
    name: type,
    title: type,
    summary,
    description: `The key, and so the subject, is the id of ${keyedBy}.`,
    payload: payloadOf(type, kind),
  };
}

/** A whole event of the type as JSON Schema. */
function payloadOf(type: string, kind: EventKind): JsonObject {
  const properties = {
    specversion: { const: '1.0' },
    id: { type: 'string', description: 'Key and sequence: the same however often the event is sent.' },
    source: { const: 'atlas' },
    type: { const: type },
    subject: { type: 'string', description: 'The key.' },
    time: { type: 'string', format: 'date-time', description: 'When it happened, in UTC.' },
    datacontenttype: { const: 'application/json' },
    sequence: { type: 'string', pattern: '^\\d+$', description: 'Counts the events of the key.' },
    sequencetype: { const: 'Integer' },
    data: dataSchemaOf(kind),
  };
  return { type: 'object', properties, required: Object.keys(properties) };
}
