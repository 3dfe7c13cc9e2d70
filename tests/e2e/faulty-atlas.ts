import { isKafkaHere, startTestKafka, type TestKafka } from '../support/kafka.ts';
import { isPostgresHere, startTestPostgres, type TestPostgres } from '../support/postgres.ts';
import { isRedisHere, startTestRedis, type TestRedis } from '../support/redis.ts';
import { isS3Here, s3Settings, startTestS3, type TestS3 } from '../support/s3.ts';
import { isToxiproxyHere, startToxiproxy, type ToxicProxy } from '../support/toxiproxy.ts';
import { until } from '../support/until.ts';
import { type AtlasProcess, makeFolder, removeFolder, startAtlas } from './atlas-process.ts';

/** The services that a fault test needs besides PostgreSQL. */
export interface RequiredServices {
  readonly redis?: true;
  readonly kafka?: true;
  readonly s3?: true;
}

/** Atlas over real services, each behind a proxy that a test can degrade. */
export interface FaultyAtlas {
  readonly atlas: AtlasProcess;
  readonly key: string;
  readonly folder: string;
  readonly postgres: TestPostgres;
  readonly toPostgres: ToxicProxy;
  readonly redis: TestRedis | null;
  readonly toRedis: ToxicProxy | null;
  /** Its proxy is `kafka.proxy`. */
  readonly kafka: TestKafka | null;
  readonly s3: TestS3 | null;
  readonly toS3: ToxicProxy | null;
  stop(): Promise<void>;
}

/** Whether all services are available. Prints what is missing; throws instead if ATLAS_REQUIRE_SERVICES=1. */
export function areServicesHere({ redis, kafka, s3 }: RequiredServices): boolean {
  const here = [isToxiproxyHere(), isPostgresHere()];
  if (redis) here.push(isRedisHere());
  if (kafka) here.push(isKafkaHere());
  if (s3) here.push(isS3Here());
  return here.every(Boolean);
}

/** Starts the services, their proxies, and Atlas with two workers behind the proxies. */
export async function startFaultyAtlas(
  required: RequiredServices,
  settings: Readonly<Record<string, string>> = {},
  postgresFolder?: string,
): Promise<FaultyAtlas> {
  const endings: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const end of endings.reverse()) await end();
  };
  try {
    const folder = await makeFolder();
    endings.push(() => removeFolder(folder));
    const toxiproxy = await startToxiproxy();
    endings.push(() => toxiproxy.stop());
    const postgres = await startTestPostgres(postgresFolder === undefined ? {} : { folder: postgresFolder });
    endings.push(() => postgres.stop());
    const toPostgres = await toxiproxy.proxy(postgres.url);
    const redis = required.redis ? await startTestRedis() : null;
    if (redis) endings.push(() => redis.stop());
    const toRedis = redis && (await toxiproxy.proxy(redis.url));
    const kafka = required.kafka ? await startTestKafka({ proxied: toxiproxy }) : null;
    if (kafka) endings.push(() => kafka.stop());
    const s3 = required.s3 ? await startTestS3() : null;
    if (s3) endings.push(() => s3.stop());
    const toS3 = s3 && (await toxiproxy.proxy(s3.endpoint));
    const atlas = await startAtlas(folder, {
      API_WORKERS: '2',
      DATABASE_URL: toPostgres.url,
      ...(toRedis && { REDIS_URL: toRedis.url }),
      ...(kafka && { KAFKA_BROKERS: kafka.proxiedBrokers }),
      ...(s3 && s3Settings(s3, toS3!.url.replace(/\/$/, ''))),
      ...settings,
    });
    endings.push(() => atlas.end('SIGKILL'));
    return { atlas, key: atlas.key!, folder, postgres, toPostgres, redis, toRedis, kafka, s3, toS3, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Returns the milliseconds until the condition holds. Throws after 60 s. */
export async function timeUntil(what: string, condition: () => Promise<boolean>): Promise<number> {
  const startMs = performance.now();
  await until(condition, { deadlineMs: 60_000, pollMs: 20, what });
  return performance.now() - startMs;
}

/** Returns the status of a GET, or 0 if there is no response. */
export async function statusOf(url: string, headers: Record<string, string> = {}): Promise<number> {
  const response = await fetch(url, { headers }).catch(() => null);
  await response?.arrayBuffer().catch(() => {});
  return response?.status ?? 0;
}
