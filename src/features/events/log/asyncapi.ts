import type { EventKind } from '../../event-kind.ts';
import { type EventCatalogue, loggedTypes } from './catalogue.ts';
import { type JsonObject, payloadOf } from './event-payload.ts';

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
    summary: 'Publishes the events of all owners to Kafka.',
    channel: {
      address: '{prefix}.events',
      title: 'Kafka topic',
      description:
        'One message per event, with the key of the event as message key, so the events of a key are in one partition and in order. Messages are published in transactions: consume with isolation level read_committed. A message can be published twice: deduplicate by its `id`. The extension attribute `owner` is the owner of the event.',
      parameters: { prefix: { default: 'atlas', description: 'Value of KAFKA_TOPIC_PREFIX.' } },
    },
  },
  stream: {
    operation: 'streamEvents',
    summary: 'Streams the events of one owner as server-sent events.',
    channel: {
      address: '/v1/events/stream',
      title: 'Event stream',
      description:
        'GET with an API key that has the scope events:read. `data` is the message, `event` its type, and `id` the cursor to resume from: reconnect with it as Last-Event-ID, and no event is missed or repeated.',
    },
  },
  webhooks: {
    carriesAll: true,
    operation: 'deliverEvents',
    summary: 'Posts the events of one owner to its webhooks.',
    channel: {
      address: null,
      title: 'Webhooks',
      description:
        'POST as application/json to each webhook of the owner that subscribes to the type, signed according to Standard Webhooks. A delivery can arrive twice: deduplicate by webhook-id. Deliveries can arrive out of order: `sequence` orders the events of a key.',
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
        'Events are CloudEvents 1.0 as JSON, identical on every channel. In Kafka and in the stream, the events of a key arrive in the order of their sequence, without gaps. A version of a type may gain members, so ignore unknown ones; any other change is a new version.',
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
    description: `The key, which is also the subject, is the ID of ${keyedBy}.`,
    payload: payloadOf(type, kind),
  };
}
