import { Redis } from 'ioredis';

export type { Redis };

export interface RedisOptions {
  readonly url: string;
  /** A command without a response fails after this. Connecting takes at most a second. */
  readonly timeoutMs: number;
  /** Called with each error of the connection, which is otherwise ignored. */
  readonly onError?: (error: Error) => void;
}

// A slower connection attempt is retried, because TCP retransmits lost packets too late.
const CONNECT_MS_MAX = 1000;
const RECONNECT_MS_MIN = 200;
const RECONNECT_MS_MAX = 250;

/**
 * Opens a connection to Redis, which reconnects within a quarter of a second once Redis is back. Never fails: a command
 * that cannot be sent now is rejected immediately. None is queued or sent twice, because it would be out of date.
 */
export function openRedis({ url, timeoutMs, onError = () => {} }: RedisOptions): Redis {
  const redis = new Redis(url, {
    connectionName: 'atlas',
    disableClientInfo: true,
    protocol: 2,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    connectTimeout: Math.min(timeoutMs, CONNECT_MS_MAX),
    commandTimeout: timeoutMs,
    keepAlive: 10_000,
    retryStrategy: () => RECONNECT_MS_MIN + Math.random() * (RECONNECT_MS_MAX - RECONNECT_MS_MIN),
  });
  redis.on('error', (error) => {
    // The error carries the command, and that of a login has the password.
    delete (error as { command?: unknown }).command;
    onError(error);
  });
  return redis;
}

/** Returns the milliseconds that Redis took to respond to a PING. Throws what the client throws. */
export async function pingRedis(redis: Redis): Promise<number> {
  const startMs = performance.now();
  await redis.ping();
  return performance.now() - startMs;
}

/** Resolves when the connection is ready. Rejects with its error, or after the timeout. */
export function untilReady(redis: Redis, timeoutMs: number): Promise<void> {
  if (redis.status === 'ready') return Promise.resolve();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('it did not respond')), timeoutMs);
    redis.once('ready', () => {
      clearTimeout(timer);
      resolve();
    });
    redis.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
  });
}
