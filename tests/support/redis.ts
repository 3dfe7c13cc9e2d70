import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findRedis, type NativeRedis, startNativeRedis } from '../../infra/native-redis.ts';
import { isAvailable } from './is-available.ts';

/** A Redis of a test's own, empty at its start, which the test may kill. */
export interface TestRedis {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Ends it in order (SIGTERM) and waits until it is gone. */
  stop(): Promise<void>;
  /** Ends it as a crash would (SIGKILL) and waits until it is gone. */
  kill(): Promise<void>;
}

const running = new Set<TestRedis>();

/**
 * Whether tests on a real Redis can run here: `describe.if(isRedisHere())`. Tests kill, flush and slow their Redis, so
 * they never take one that a URL in the environment names. Says so where it is missing; throws with
 * ATLAS_REQUIRE_SERVICES=1.
 */
export function isRedisHere(): boolean {
  return isAvailable('Redis', findRedis());
}

/**
 * Starts a Redis on the loopback interface with nothing on disk. A Redis that comes back empty where another one was is
 * one started with the `port` of the other. Ends with the tests even when a test forgets it.
 */
export async function startTestRedis(
  options: { readonly port?: number; readonly args?: readonly string[] } = {},
): Promise<TestRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'atlas-test-redis-'));
  let redis: NativeRedis;
  try {
    redis = await startNativeRedis(folder, options.port, options.args);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
    await redis.end(signal);
    await rm(folder, { recursive: true, force: true });
    running.delete(started);
  };
  const { url, port, pid } = redis;
  const started = { url, port, pid, stop: () => end('SIGTERM'), kill: () => end('SIGKILL') };
  running.add(started);
  return started;
}

/** Ends every Redis that {@link startTestRedis} started and nobody ended. */
export async function stopTestRedis(): Promise<void> {
  for (const redis of running) await redis.kill();
}
