import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findRedis, startNativeRedis } from '../../infra/native-redis.ts';
import { isAvailable } from './is-available.ts';
import { type StartOptions, startService, type TestService } from './test-service.ts';

/** A Redis that keeps nothing on disk: after a restart it is empty. */
export interface TestRedis extends TestService {
  readonly url: string;
  readonly port: number;
}

export interface RedisOptions extends StartOptions {
  /** Added to the command line of the server. */
  readonly args?: readonly string[];
}

/**
 * Whether tests on a real Redis can run here: `describe.if(isRedisHere())`. Tests kill, flush and slow their Redis, so
 * they never use one that a URL in the environment names. Throws if ATLAS_REQUIRE_SERVICES=1 and Redis is missing.
 */
export function isRedisHere(): boolean {
  return isAvailable('Redis', findRedis());
}

/** Starts an empty Redis on the loopback interface. */
export async function startTestRedis({ port, args }: RedisOptions = {}): Promise<TestRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'atlas-test-redis-'));
  const { service, first } = await startService({
    ...(port !== undefined && { port }),
    start: (usedPort) => startNativeRedis(folder, usedPort, args),
    deleteData: () => rm(folder, { recursive: true, force: true }),
  });
  return Object.assign(service, { url: first.url, port: first.port });
}
