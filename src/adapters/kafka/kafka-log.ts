import { AtlasError } from '../../errors.ts';
import { Dependency } from '../../resilience/dependency.ts';
import { orAbort } from '../../utils/or-abort.ts';
import { throttle } from '../../utils/throttle.ts';
import type { EventLog } from '../event-log/event-log.ts';
import type { Database } from '../postgres/database.ts';
import type { Incarnation } from '../postgres/incarnation.ts';
import type { KafkaAccess } from './kafka-access.ts';
import { createKafkaClient } from './kafka-client.ts';
import { KafkaConsumer } from './kafka-consumer.ts';
import { isUnavailable } from './kafka-errors.ts';
import { explained } from './kafka-fault.ts';
import { probeBrokers } from './kafka-probe.ts';
import { KafkaPublisher } from './kafka-publisher.ts';
import { topicEnds } from './kafka-topic.ts';

const CALL_MS_MIN = 5000;
const CALL_MS_MAX = 20_000;
const CALLS_MAX = 16;
const RETRY_AFTER_SECONDS = 1;
// While the brokers are unavailable, trouble is reported once per interval.
const TROUBLE_INTERVAL_MS = 30_000;

export interface KafkaLogOptions {
  readonly access: KafkaAccess;
  /** Prefix of the topic, the consumer groups and the transactional id. */
  readonly prefix: string;
  readonly database: Database;
  /** This process as a member of consumer groups. */
  readonly incarnation: Pick<Incarnation, 'hold' | 'deadAmong'>;
  readonly failureThreshold: number;
  readonly recoveryTimeoutMs: number;
  /** Called with the log messages of the library, which are many and rarely useful. */
  readonly onDebug: (text: string, facts: object) => void;
  /** Called with what operators should know, throttled. */
  readonly onTrouble: (error: unknown, text: string) => void;
}

/** Opens the event log on Kafka, the topic `PREFIX.events`. Connects when something is first published or consumed. */
export function openKafkaLog(options: KafkaLogOptions): EventLog {
  const { access, prefix, database, incarnation, failureThreshold, recoveryTimeoutMs, onDebug } = options;
  const report = throttle(TROUBLE_INTERVAL_MS, ({ error, text }: { error: unknown; text: string }) =>
    options.onTrouble(error, text),
  );
  // The log of outages is bounded by itself.
  const onTrouble = (error: unknown, text: string) => {
    const known = explained(error);
    const isOutage = known instanceof AtlasError && known.code === 'dependency_unavailable';
    if (isOutage) options.onTrouble(known, text);
    else report({ error, text });
  };
  const topic = `${prefix}.events`;
  const client = createKafkaClient(access, onDebug);
  const dependency = new Dependency({
    name: 'kafka',
    concurrencyMax: CALLS_MAX,
    waitingMax: CALLS_MAX,
    timeoutFloorMs: CALL_MS_MIN,
    timeoutMaxMs: CALL_MS_MAX,
    failureThreshold,
    recoveryTimeoutMs,
    attributes: { 'messaging.system': 'kafka', 'messaging.destination.name': topic },
    isFailure: isUnavailable,
    probe: (signal) => probeBrokers(access, signal),
    unavailable: (cause) =>
      new AtlasError('dependency_unavailable', 'Kafka cannot be reached.', {
        cause,
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      }),
  });
  return {
    mode: 'kafka',
    publisher: new KafkaPublisher({ client, dependency, topic, transactionalId: `${prefix}-relay` }),
    consumer: new KafkaConsumer({
      createClient: (clientId) => createKafkaClient(access, onDebug, { clientId }),
      incarnation,
      dependency,
      database,
      topic,
      prefix,
      onTrouble,
    }),
    dependency,
    ends: (signal) =>
      dependency.call('ends', (within) => orAbort(topicEnds(client, topic), within), { signal }),
    // Consumers wait for the brokers, not for this process.
    relayed: () => {},
    close: async () => dependency.close(),
  };
}
