import { Redis } from 'ioredis';
import { readCaFile } from '../../utils/ca-file.ts';
import { REDIS_TLS } from './redis-fault.ts';

export type { Redis };

export interface RedisOptions {
  /** With `rediss://`, the connection is encrypted, and the certificate must be for the host of the URL. */
  readonly url: string;
  /** A PEM file with the authorities that may have issued the certificate. Those of the system by default. */
  readonly caFile?: string | undefined;
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
 * Opens a connection to Redis, which reconnects within a quarter of a second once Redis is back. Never waits: a command
 * that cannot be sent now is rejected immediately. None is queued or sent twice, because it would be out of date.
 * Throws an Error with a remedy if the file of authorities cannot be used, and never otherwise.
 */
export function openRedis({ url, caFile, timeoutMs, onError = () => {} }: RedisOptions): Redis {
  const redis = new Redis(url, {
    ...(url.startsWith('rediss://') && { tls: tlsOptions(caFile) }),
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

function tlsOptions(caFile: string | undefined): { rejectUnauthorized: true; ca?: string } {
  const checked = { rejectUnauthorized: true } as const;
  return caFile === undefined ? checked : { ...checked, ca: readCaFile(caFile, REDIS_TLS.authority) };
}

/** Connects once, and returns the milliseconds of a PING. Rejects with the error of the connection or of the login. */
export async function reachRedis(options: RedisOptions): Promise<number> {
  const redis = openRedis(options);
  try {
    await untilReady(redis, options.timeoutMs);
    return await pingRedis(redis);
  } finally {
    redis.disconnect();
  }
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
