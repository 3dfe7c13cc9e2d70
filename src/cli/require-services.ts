import { reachRedis } from '../adapters/redis/redis.ts';
import { redisFault } from '../adapters/redis/redis-fault.ts';
import type { Config } from '../config.ts';
import { redisOptions } from '../deps.ts';

const TIMEOUT_MS_MAX = 2000;

/**
 * Checks before the start that the services besides PostgreSQL accept these settings: their certificates and logins.
 * Throws an Error with a remedy if one does not. One that does not respond is no reason not to start: Atlas runs
 * without it until it does.
 */
export async function requireServices(config: Config): Promise<void> {
  if (config.REDIS_URL !== undefined)
    await requireOne(reachRedis(within(redisOptions(config, config.REDIS_URL))), redisFault);
}

/** A service that hangs must not delay the start. */
function within<T extends { readonly timeoutMs: number }>(options: T): T {
  return { ...options, timeoutMs: Math.min(options.timeoutMs, TIMEOUT_MS_MAX) };
}

async function requireOne(
  reached: Promise<unknown>,
  faultOf: (error: unknown) => string | null,
): Promise<void> {
  try {
    await reached;
  } catch (error) {
    const fault = faultOf(error);
    if (fault !== null) throw new Error(fault, { cause: error });
  }
}
