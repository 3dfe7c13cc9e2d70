import { Redis } from 'ioredis';

export type { Redis };

/** How a connection is opened. */
export interface RedisOptions {
  readonly url: string;
  /** After this, a command that gets no answer is given up. Connecting takes a second at most. */
  readonly timeoutMs: number;
  /** Told of each error of the connection; nothing else comes of them. */
  readonly onError?: (error: Error) => void;
}

// A connection that takes longer is tried anew: what was lost on the way is sent again too late.
const CONNECT_MS_MAX = 1000;
const RECONNECT_MS_MIN = 200;
const RECONNECT_MS_MAX = 250;

/**
 * Opens one connection to Redis, which comes back by itself within a quarter of a second after Redis did. It never
 * fails: a command that cannot be sent now is rejected at once, and none is kept for later or sent twice, because it
 * would then say what was true some time ago.
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
    // What was sent is told with the error, and of a login that is the password.
    delete (error as { command?: unknown }).command;
    onError(error);
  });
  return redis;
}

/** Milliseconds that Redis took to answer a PING. Throws what the client throws when it does not. */
export async function pingRedis(redis: Redis): Promise<number> {
  const startMs = performance.now();
  await redis.ping();
  return performance.now() - startMs;
}

/** Resolves when the connection can be used. Rejects with what kept it from that, or when it takes too long. */
export function untilReady(redis: Redis, timeoutMs: number): Promise<void> {
  if (redis.status === 'ready') return Promise.resolve();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('it is silent')), timeoutMs);
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
