import { kafkaFault } from '../adapters/kafka/kafka-fault.ts';
import { reachKafka } from '../adapters/kafka/kafka-reach.ts';
import { reachRedis } from '../adapters/redis/redis.ts';
import { redisFault } from '../adapters/redis/redis-fault.ts';
import type { Config } from '../config.ts';
import { kafkaAccess, redisOptions } from '../deps.ts';

const TIMEOUT_MS_MAX = 2000;

/**
 * Checks before the start that the services besides PostgreSQL accept these settings: their certificates and logins.
 * Throws an Error with a remedy if one does not. One that does not respond is no reason not to start: Atlas runs
 * without it until it does.
 */
export async function requireServices(config: Config): Promise<void> {
  const { REDIS_URL, KAFKA_BROKERS } = config;
  const redis = REDIS_URL === undefined ? null : reachRedis(within(redisOptions(config, REDIS_URL)));
  const kafka = KAFKA_BROKERS.length === 0 ? null : reachKafka(kafkaAccess(config), TIMEOUT_MS_MAX);
  await Promise.all([requireOne(redis, redisFault), requireOne(kafka, kafkaFault)]);
}

/** A service that hangs must not delay the start. */
function within<T extends { readonly timeoutMs: number }>(options: T): T {
  return { ...options, timeoutMs: Math.min(options.timeoutMs, TIMEOUT_MS_MAX) };
}

async function requireOne(
  reached: Promise<unknown> | null,
  faultOf: (error: unknown) => string | null,
): Promise<void> {
  try {
    await reached;
  } catch (error) {
    const fault = faultOf(error);
    if (fault !== null) throw new Error(fault, { cause: error });
  }
}
