import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../infra/free-port.ts';
import { findKafka } from '../../infra/kafka-jars.ts';
import { type KafkaLogin, startNativeKafka } from '../../infra/native-kafka.ts';
import { isAvailable } from './is-available.ts';
import { type StartOptions, startService, type TestService } from './test-service.ts';
import type { ToxicProxy, Toxiproxy } from './toxiproxy.ts';

/** A Kafka of one broker, without topics at first. */
export interface TestKafka extends TestService {
  /** The value of `KAFKA_BROKERS` that leads straight to the broker. */
  readonly brokers: string;
  /** The value of `KAFKA_BROKERS` that leads through {@link KafkaOptions.proxied}, else the same as `brokers`. */
  readonly proxiedBrokers: string;
  /** Degrades the connections of `proxiedBrokers`. Throws if the Kafka was started without a proxy. */
  readonly proxy: ToxicProxy;
}

export interface KafkaOptions extends StartOptions {
  /** Puts a proxy in front of a second listener, which advertises the address of the proxy. */
  readonly proxied?: Toxiproxy;
  /** Adds a listener with TLS and a login. */
  readonly secured?: KafkaLogin;
}

let shared: Promise<TestKafka> | null = null;

/** Whether tests on a real Kafka can run here. Throws if ATLAS_REQUIRE_SERVICES=1 and it is missing. */
export function isKafkaHere(): boolean {
  return isAvailable('Kafka', findKafka());
}

/**
 * Returns the Kafka (300 MB) shared by all tests of this process that do not break theirs. Each uses separate topics,
 * groups and transactional ids, and never stops it: it ends with the tests.
 */
export function sharedTestKafka(): Promise<TestKafka> {
  shared ??= startTestKafka();
  return shared;
}

/** Starts a Kafka on the loopback interface. */
export async function startTestKafka({
  proxied,
  secured,
  ...options
}: KafkaOptions = {}): Promise<TestKafka> {
  const folder = await mkdtemp(join(tmpdir(), 'atlas-test-kafka-'));
  const behindProxy = proxied && (await freePort());
  const proxy = await proxied?.proxy(`kafka://127.0.0.1:${behindProxy}`);
  const proxyHost = proxy && new URL(proxy.url).host;
  const listener = proxyHost && { port: behindProxy!, advertisedPort: Number(proxyHost.split(':')[1]) };
  const { service, first } = await startService({
    ...options,
    start: (port) => startNativeKafka(folder, { port, proxied: listener || undefined, secured }),
    deleteData: () => rm(folder, { recursive: true, force: true, maxRetries: 10 }),
  });
  return Object.defineProperty(
    Object.assign(service, { brokers: first.brokers, proxiedBrokers: proxyHost ?? first.brokers }),
    'proxy',
    {
      get() {
        if (proxy === undefined) throw new Error('This Kafka was started without a proxy.');
        return proxy;
      },
    },
  ) as TestKafka;
}
