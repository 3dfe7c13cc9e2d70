import { ALL_EVENT_TYPES, dataSchemaOf, EVENT_CATALOGUE, EVENT_TYPES, type EventType } from './catalogue.ts';

type JsonObject = Record<string, unknown>;

const reference = (to: string) => ({ $ref: `#/${to}` });

interface Way {
  readonly operation: string;
  readonly summary: string;
  readonly types: readonly EventType[];
  readonly channel: JsonObject;
}

/** What each way to the events is, in the words of AsyncAPI: a channel, and the operation that Atlas does on it. */
const WAYS: Readonly<Record<string, Way>> = {
  kafka: {
    types: EVENT_TYPES,
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
    types: EVENT_TYPES,
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
    types: ALL_EVENT_TYPES,
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

/** The AsyncAPI 3.0 document of everything that Atlas sends. Committed under `docs/api`, and a test compares the two. */
export function asyncApiDocument(version: string): object {
  const messages = Object.fromEntries(ALL_EVENT_TYPES.map((type) => [type, messageOf(type)]));
  const channels = Object.entries(WAYS).map(([name, { channel, types }]) => {
    const carried = types.map((type) => [type, reference(`components/messages/${type}`)]);
    return [name, { ...channel, messages: Object.fromEntries(carried) }];
  });
  const operations = Object.entries(WAYS).map(([name, { operation, summary }]) => [
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

function messageOf(type: EventType): JsonObject {
  const { summary, keyedBy } = EVENT_CATALOGUE[type];
  return {
    name: type,
    title: type,
    summary,
    description: `The key, and so the subject, is the id of ${keyedBy}.`,
    payload: payloadOf(type),
  };
}

/** A whole event of the type as JSON Schema. */
function payloadOf(type: EventType): JsonObject {
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
    data: dataSchemaOf(type),
  };
  return { type: 'object', properties, required: Object.keys(properties) };
}
