import { openKafkaLog } from '../../src/adapters/kafka/kafka-log.ts';
import { openDatabase } from '../../src/adapters/postgres/database.ts';
import { Incarnation } from '../../src/adapters/postgres/incarnation.ts';
import { Relay } from '../../src/features/events/relay/relay.ts';
import { createRelayRepository } from '../../src/features/events/relay/repository.ts';
import type { Logger } from '../../src/instrumentation/logger.ts';

// A relay in a separate process that stops itself (SIGSTOP) either before it sends its second batch, when it has verified
// that it is the leader, or after that batch, before it can record that it was sent.
const { DATABASE_URL = '', KAFKA_BROKERS = '', KAFKA_TOPIC_PREFIX = '', STOP = '' } = process.env;
const tell = (text: string) => void process.stdout.write(`${text}\n`);
const database = openDatabase({
  url: DATABASE_URL,
  connectionsMax: 4,
  timeoutSeconds: 10,
  failureThreshold: 5,
  recoveryTimeoutMs: 60_000,
});
const incarnation = new Incarnation(database);
const log = openKafkaLog({
  access: { brokers: [KAFKA_BROKERS] },
  prefix: KAFKA_TOPIC_PREFIX,
  database,
  incarnation,
  failureThreshold: 5,
  recoveryTimeoutMs: 60_000,
  onDebug: () => {},
  onTrouble: () => {},
});
const publisher = log.publisher!;
let batches = 0;
const relay = new Relay({
  repository: createRelayRepository(database, incarnation),
  publisher: {
    open: (signal) => publisher.open(signal),
    close: () => publisher.close(),
    async publish(events, signal) {
      const isSecond = ++batches === 2;
      if (isSecond && STOP === 'before') stopTime();
      const rejections = await publisher.publish(events, signal);
      if (isSecond && STOP === 'behind') stopTime();
      return rejections;
    },
  },
  holder: 'process',
  logger: {
    info: (_: object, text: string) => tell(text),
    warn: (facts: { err: Error }, text: string) => tell(`${text}: ${facts.err.message}`),
    error: (_: object, text: string) => tell(text),
  } as unknown as Logger,
  rowsMax: 5,
});

function stopTime(): void {
  tell('stopped');
  process.kill(process.pid, 'SIGSTOP');
  tell('awake');
}

await relay.loop.run(new AbortController().signal);
