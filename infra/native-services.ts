import { existsSync } from 'node:fs';
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from './failure.ts';
import { findKafka } from './kafka-jars.ts';
import { installKafka, startNativeKafka } from './native-kafka.ts';
import {
  installPostgres,
  isPostgresInstalled,
  runNativePostgres,
  startNativePostgres,
} from './native-postgres.ts';
import { findRedis, installRedis, startNativeRedis } from './native-redis.ts';
import { findVersitygw, installVersitygw, startVersitygw } from './versitygw.ts';

const BUCKET = 'atlas';

/** A running service. */
export interface RunningService {
  readonly pid: number;
  /** Resolves when the service has exited, for whatever reason. */
  readonly exited: Promise<void>;
  /** The settings with which Atlas uses it. */
  readonly settings: Readonly<Record<string, string>>;
  /** Stops it in an orderly way and waits for its exit. */
  end(): Promise<void>;
}

/** A service that Atlas uses, as a native process on the loopback interface. */
export interface NativeService {
  readonly title: string;
  /** Its port here and in compose.yaml. */
  readonly port: number;
  isInstalled(): boolean;
  install(): Promise<void>;
  /** Starts it on a folder, where it stores its data. It finds the data of earlier starts, except for Redis. */
  start(folder: string, port: number): Promise<RunningService>;
}

/** Every service that Atlas uses, by its name in commands. */
export const NATIVE_SERVICES: Readonly<Record<'postgres' | 'redis' | 'kafka' | 's3', NativeService>> = {
  postgres: {
    title: 'PostgreSQL 15',
    port: 5433,
    isInstalled: isPostgresInstalled,
    install: () => installPostgres(),
    async start(folder, port) {
      if (!isPostgresInstalled())
        throw failure(
          'PostgreSQL could not be started.',
          'PostgreSQL 15 is not installed',
          'npm run services -- install',
        );
      await mkdir(folder, { recursive: true });
      // The server runs as another user, who needs access to its folder.
      await chmod(folder, 0o755);
      const exists = existsSync(join(folder, 'data', 'PG_VERSION'));
      const { url, pid, exited, end } = exists
        ? await runNativePostgres(folder, port)
        : await startNativePostgres(folder, undefined, port);
      return { pid, exited, settings: { DATABASE_URL: url }, end };
    },
  },
  redis: {
    title: 'Redis',
    port: 6379,
    isInstalled: () => findRedis() !== null,
    install: installRedis,
    async start(folder, port) {
      await mkdir(folder, { recursive: true });
      const { url, pid, exited, end } = await startNativeRedis(folder, port);
      return { pid, exited, settings: { REDIS_URL: url }, end: () => end('SIGTERM') };
    },
  },
  kafka: {
    title: 'Kafka',
    port: 9092,
    isInstalled: () => findKafka() !== null,
    install: installKafka,
    async start(folder, port) {
      await mkdir(folder, { recursive: true });
      const { brokers, pid, exited, end } = await startNativeKafka(folder, { port });
      return { pid, exited, settings: { KAFKA_BROKERS: brokers }, end: () => end('SIGTERM') };
    },
  },
  s3: {
    title: 'S3 (versitygw)',
    port: 9000,
    isInstalled: () => findVersitygw() !== null,
    install: installVersitygw,
    async start(folder, port) {
      const s3 = await startVersitygw(folder, BUCKET, port);
      const settings = {
        S3_ENDPOINT: s3.endpoint,
        S3_BUCKET: BUCKET,
        S3_ACCESS_KEY_ID: s3.accessKeyId,
        S3_SECRET_ACCESS_KEY: s3.secretAccessKey,
      };
      return { pid: s3.pid, exited: s3.exited, settings, end: () => s3.end('SIGTERM') };
    },
  },
};

/** Returns the service of that name, or null. */
export function serviceNamed(name: string): NativeService | null {
  return Object.hasOwn(NATIVE_SERVICES, name) ? NATIVE_SERVICES[name as keyof typeof NATIVE_SERVICES] : null;
}
