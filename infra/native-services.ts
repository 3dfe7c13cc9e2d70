import { existsSync } from 'node:fs';
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
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

/** A service that runs. */
export interface RunningService {
  readonly pid: number;
  /** Settles when the service has ended, for whatever reason. */
  readonly exited: Promise<void>;
  /** The settings of Atlas that lead to it. */
  readonly settings: Readonly<Record<string, string>>;
  /** Ends it in order and waits until it is gone. */
  end(): Promise<void>;
}

/** A service that Atlas uses, as a native process on the loopback interface. */
export interface NativeService {
  readonly title: string;
  /** The port that compose gives it too. */
  readonly port: number;
  isInstalled(): boolean;
  install(): Promise<void>;
  /** Starts it on a folder, where it keeps its data; a folder of before keeps what it had, but for that of Redis. */
  start(folder: string, port: number): Promise<RunningService>;
}

/** Every service that Atlas uses, by the name that commands take. */
export const NATIVE_SERVICES: Readonly<Record<'postgres' | 'redis' | 'kafka' | 's3', NativeService>> = {
  postgres: {
    title: 'PostgreSQL 15',
    port: 5433,
    isInstalled: isPostgresInstalled,
    install: () => installPostgres(),
    async start(folder, port) {
      if (!isPostgresInstalled())
        throw new Error(
          'PostgreSQL could not be started.\n  why:  PostgreSQL 15 is not installed\n  do:   npm run services -- install',
        );
      await mkdir(folder, { recursive: true });
      // The server runs as a user of its own, who must be able to pass.
      await chmod(folder, 0o755);
      const isOld = existsSync(join(folder, 'data', 'PG_VERSION'));
      const { url, pid, exited, end } = isOld
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

/** Reads the name of a service that somebody typed. */
export function serviceNamed(name: string): NativeService | null {
  return Object.hasOwn(NATIVE_SERVICES, name) ? NATIVE_SERVICES[name as keyof typeof NATIVE_SERVICES] : null;
}
