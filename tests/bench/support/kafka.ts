import { installKafkaJars } from '../../../infra/kafka-jars.ts';
import { startNativeKafka } from '../../../infra/native-kafka.ts';
import { undoAtEnd } from './clean-up.ts';
import { freshFolder } from './folders.ts';
import { progress } from './progress.ts';

/** A Kafka with one broker. It can be killed and started again with its topics. */
export interface BenchKafka {
  readonly brokers: string;
  readonly pid: number;
  kill(): Promise<void>;
  start(): Promise<void>;
}

/** Starts a Kafka in a new folder. Both are removed with the benchmark. */
export async function startKafka(): Promise<BenchKafka> {
  progress('starting Kafka');
  await installKafkaJars();
  const folder = freshFolder();
  let kafka = await startNativeKafka(folder);
  undoAtEnd(() => kafka.end('SIGKILL'));
  const { brokers, port } = kafka;
  return {
    brokers,
    get pid() {
      return kafka.pid;
    },
    kill: () => kafka.end('SIGKILL'),
    async start() {
      kafka = await startNativeKafka(folder, { port });
    },
  };
}
