import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../infra/free-port.ts';
import { findKafka } from '../../infra/kafka-jars.ts';
import { type NativeKafka, startNativeKafka } from '../../infra/native-kafka.ts';
import { isAvailable } from './is-available.ts';
import { untilStopped } from './stopped-process.ts';
import type { ToxicProxy, Toxiproxy } from './toxiproxy.ts';

/** A Kafka of a test's own, without topics at its start, which the test may kill. */
export interface TestKafka {
  /** What `KAFKA_BROKERS` takes: the way straight to the broker. */
  readonly brokers: string;
  /** The way through the proxy that {@link KafkaOptions.proxied} asked for, else the same as `brokers`. */
  readonly proxiedBrokers: string;
  /** Makes that way bad. Throws where the test did not ask for a proxy. */
  readonly proxy: ToxicProxy;
  /** Of the process that runs now: it changes with {@link TestKafka.restart}. */
  readonly pid: number;
  /** Ends it in order (SIGTERM), with its topics, and waits until it is gone. */
  stop(): Promise<void>;
  /** Ends it as a crash would (SIGKILL) and waits until it is gone. Its topics stay for {@link TestKafka.restart}. */
  kill(): Promise<void>;
  /** Stops its time (SIGSTOP): connections stay open and, once this has resolved, nothing answers. */
  pause(): Promise<void>;
  /** Lets its time go on (SIGCONT). */
  resume(): void;
  /** Starts it again with its topics on its ports, and kills it first where it still runs. */
  restart(): Promise<void>;
}

export interface KafkaOptions {
  readonly port?: number;
  /** A folder whose topics it has and which stays; else it has a folder of its own, which goes with it. */
  readonly dataDir?: string;
  /** Puts a proxy of this toxiproxy before a second listener, whose clients come back through the proxy. */
  readonly proxied?: Toxiproxy;
}

const running = new Set<TestKafka>();
let shared: Promise<TestKafka> | null = null;

/** Whether tests on a real Kafka can run here. Says so where not; throws with ATLAS_REQUIRE_SERVICES=1. */
export function isKafkaHere(): boolean {
  return isAvailable('Kafka', findKafka());
}

/**
 * The one Kafka (300 MB) of the tests of this process that do not harm theirs. They take topics, groups and
 * transactional ids that nobody else has, and never stop it: it ends with the tests.
 */
export function sharedTestKafka(): Promise<TestKafka> {
  shared ??= startTestKafka();
  return shared;
}

/** Starts a Kafka on the loopback interface. Ends with the tests even when a test forgets it. */
export async function startTestKafka(options: KafkaOptions = {}): Promise<TestKafka> {
  const folder = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'atlas-test-kafka-')));
  await mkdir(folder, { recursive: true });
  const behindProxy = options.proxied === undefined ? null : await freePort();
  const proxy = await options.proxied?.proxy(`kafka://127.0.0.1:${behindProxy}`);
  const proxyHost = proxy && new URL(proxy.url).host;
  const proxied =
    proxyHost === undefined
      ? undefined
      : { port: behindProxy!, advertisedPort: Number(proxyHost.split(':')[1]) };
  const removeFolder = async () => {
    if (options.dataDir === undefined) await rm(folder, { recursive: true, force: true, maxRetries: 10 });
  };
  let kafka: NativeKafka;
  try {
    kafka = await startNativeKafka(folder, { port: options.port, proxied });
  } catch (error) {
    await removeFolder();
    throw error;
  }
  const { brokers, port } = kafka;
  const started: TestKafka = {
    brokers,
    proxiedBrokers: proxyHost ?? brokers,
    get proxy() {
      if (proxy === undefined) throw new Error('This Kafka was started without a proxy.');
      return proxy;
    },
    get pid() {
      return kafka.pid;
    },
    async stop() {
      // A paused one hears nothing of its end.
      kafka.signal('SIGCONT');
      await kafka.end('SIGTERM');
      await removeFolder();
      running.delete(started);
    },
    kill: () => kafka.end('SIGKILL'),
    async pause() {
      kafka.signal('SIGSTOP');
      await untilStopped(kafka.pid);
    },
    resume: () => kafka.signal('SIGCONT'),
    async restart() {
      await kafka.end('SIGKILL');
      kafka = await startNativeKafka(folder, { port, proxied });
    },
  };
  running.add(started);
  return started;
}

/** Ends every Kafka that {@link startTestKafka} started and nobody stopped. */
export async function stopTestKafka(): Promise<void> {
  for (const kafka of running) {
    // Nobody wants its topics any more, and a kill is sooner done than an end in order.
    await kafka.kill();
    await kafka.stop();
  }
}
