import { isIPv6 } from 'node:net';
import { z } from 'zod';

/** What the schema says of a setting beside its type. */
export type SettingMeta = {
  readonly section: string;
  readonly description: string;
  /** Never shown in full. */
  readonly secret?: true;
  /** The value has no effect until the part of Atlas that reads it exists. */
  readonly unused?: true;
};

const integer = (min: number, max: number) =>
  z.coerce
    .number<string>({ error: 'is not a whole number' })
    .int({ error: 'is not a whole number' })
    .min(min, { error: 'is too small' })
    .max(max, { error: 'is too large' })
    .meta({ allowed: `a whole number from ${min} to ${max}` });
const decimal = (min: number, max: number) =>
  z.coerce
    .number<string>({ error: 'is not a number' })
    .min(min, { error: 'is too small' })
    .max(max, { error: 'is too large' })
    .meta({ allowed: `a number from ${min} to ${max}` });
const choice = <const T extends readonly string[]>(...choices: T) =>
  z.enum(choices, { error: 'is not one of the choices' });
const flag = () => z.stringbool({ error: 'is neither true nor false' }).meta({ allowed: 'true or false' });
const url = (...schemes: string[]) => {
  const allowed = `a URL that starts with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`;
  const fits = (text: string) =>
    schemes.some((scheme) => text.startsWith(`${scheme}://`)) && URL.canParse(text);
  return z.string().refine(fits, { error: 'is not a URL of this kind' }).meta({ allowed });
};
const list = (allowed: string) =>
  z
    .string()
    .transform((text) =>
      text
        .split(',')
        .map((item) => item.trim())
        .filter(Boolean),
    )
    .meta({ allowed });
const name = () => {
  const allowed = '1 to 64 letters, digits or any of . _ -';
  return z
    .string()
    .regex(/^[\w.-]{1,64}$/, { error: 'is too long, or has other characters' })
    .meta({ allowed });
};
const meta = (section: string, description: string, extra: Pick<SettingMeta, 'secret' | 'unused'> = {}) => ({
  section,
  description,
  ...extra,
});
const later = { unused: true } as const;

const origins = () => {
  const allowed = 'origins such as https://app.example.com, comma-separated, without a path';
  const isOrigin = (text: string) => URL.canParse(text) && new URL(text).origin === text;
  return list(allowed)
    .refine((items) => items.every(isOrigin), { error: 'holds something that is no origin' })
    .meta({ allowed });
};
const brokers = () => {
  const allowed = 'host:port pairs, comma-separated';
  const isBroker = (text: string) => /^[^\s/@]+:\d{1,5}$/.test(text) && URL.canParse(`kafka://${text}`);
  return list(allowed)
    .refine((items) => items.every(isBroker), { error: 'holds something that is not host:port' })
    .meta({ allowed });
};
const hosts = () => {
  const allowed = 'host names or addresses, comma-separated, without scheme and port';
  const isHost = (text: string) => /^[\w.-]+$/.test(text) || isIPv6(text.replace(/^\[(.*)\]$/, '$1'));
  return list(allowed)
    .refine((items) => items.every(isHost), { error: 'holds something that is not a host alone' })
    .meta({ allowed });
};

/**
 * The one schema of all settings. `.env.example`, `atlas config`, `--help` and the table of the README come from it.
 */
export const settingsSchema = z.object({
  ENVIRONMENT: choice('development', 'test', 'staging', 'production')
    .default('development')
    .meta(meta('Service', 'Where this runs. Production logs JSON, sends HSTS and makes no demo data.')),
  API_HOST: z
    .string()
    .min(1)
    .default('127.0.0.1')
    .meta(meta('Service', 'Address to listen on. 0.0.0.0 for every interface.')),
  API_PORT: integer(0, 65_535).default(8000).meta(meta('Service', 'Port to listen on. 0 takes a free one.')),
  API_WORKERS: integer(1, 64)
    .optional()
    .meta(meta('Service', 'Worker processes that share the port (Linux). Unset: one for each core.')),
  HTTP_TIMEOUT: decimal(0.1, 240)
    .default(30)
    .meta(meta('Service', 'Seconds after which a request is answered 504. Callers may ask for less.')),
  CORS_ALLOWED_ORIGINS: origins()
    .default([])
    .meta(meta('Service', 'Origins whose pages may read answers, comma-separated. Empty: none.')),
  DOCS_ENABLED: flag()
    .default(true)
    .meta(meta('Service', 'Serve /docs, /redoc, /openapi.json and /asyncapi.json.')),
  ATLAS_DATA_DIR: z
    .string()
    .min(1)
    .default('.atlas')
    .meta(meta('Service', 'Folder of everything that the embedded parts keep.')),
  LOG_LEVEL: choice('trace', 'debug', 'info', 'warn', 'error', 'fatal')
    .default('info')
    .meta(meta('Logs', 'The least severe level that is logged. debug logs every request.')),
  LOG_FORMAT: choice('auto', 'json', 'pretty')
    .default('auto')
    .meta(meta('Logs', 'auto is pretty in development and JSON elsewhere.')),
  DATABASE_URL: url('postgres', 'postgresql')
    .optional()
    .meta(
      meta('PostgreSQL', 'Where PostgreSQL is. Unset: an embedded one under ATLAS_DATA_DIR.', {
        secret: true,
      }),
    ),
  DATABASE_REPLICA_URL: url('postgres', 'postgresql')
    .optional()
    .meta(meta('PostgreSQL', 'A replica to read from.', { secret: true, ...later })),
  DATABASE_POOL_SIZE: integer(1, 1000)
    .default(100)
    .meta(meta('PostgreSQL', 'Connections of this host that may stay open.')),
  DATABASE_MAX_OVERFLOW: integer(0, 1000)
    .default(50)
    .meta(meta('PostgreSQL', 'Connections above the pool size while it is busy.')),
  DATABASE_TIMEOUT: decimal(0.1, 600)
    .default(10)
    .meta(meta('PostgreSQL', 'Seconds that one statement may take, and that connecting may take.')),
  REDIS_URL: url('redis', 'rediss')
    .optional()
    .meta(
      meta('Redis', 'Where Redis is. Unset: each worker has a fixed share of the limits.', { secret: true }),
    ),
  REDIS_PREFIX: name()
    .default('atlas')
    .meta(meta('Redis', 'Begins the name of every key, so that deployments can share one Redis.')),
  REDIS_MAX_CONNECTIONS: integer(1, 1000)
    .default(50)
    .meta(
      meta('Redis', 'Connections of this host to Redis. A worker with fewer than 2 caches in its memory.'),
    ),
  REDIS_TIMEOUT: decimal(0.01, 60).default(5).meta(meta('Redis', 'Seconds that one command may take.')),
  KAFKA_BROKERS: brokers()
    .default([])
    .meta(meta('Kafka', 'Brokers as host:port, comma-separated. Empty: events are kept in PostgreSQL only.')),
  KAFKA_TOPIC_PREFIX: name()
    .default('atlas')
    .meta(meta('Kafka', 'Begins the name of every topic and group, so that deployments can share brokers.')),
  S3_ENDPOINT: url('http', 'https')
    .optional()
    .meta(meta('S3', 'Where the object store is. Unset: files under ATLAS_DATA_DIR.')),
  S3_BUCKET: z
    .string()
    .min(3, { error: 'is too short' })
    .max(63, { error: 'is too long' })
    .meta({ allowed: 'text of 3 to 63 characters' })
    .optional()
    .meta(meta('S3', 'Bucket for objects. It must exist.')),
  S3_PUBLIC_ENDPOINT: url('http', 'https')
    .optional()
    .meta(meta('S3', 'Where holders of links reach the object store. Unset: S3_ENDPOINT.')),
  S3_REGION: z.string().min(1).default('us-east-1').meta(meta('S3', 'Region that requests are signed for.')),
  S3_ACCESS_KEY_ID: z.string().min(1).optional().meta(meta('S3', 'Access key.')),
  S3_SECRET_ACCESS_KEY: z
    .string()
    .min(1)
    .optional()
    .meta(meta('S3', 'Secret of the access key.', { secret: true })),
  FILES_MAX_BYTES: integer(1, 5_497_558_138_880)
    .default(5_368_709_120)
    .meta(meta('Files', 'The largest file that is taken.')),
  FILES_TIMEOUT: decimal(1, 86_400)
    .default(3600)
    .meta(meta('Files', 'Seconds that one upload or download may take.')),
  WEBHOOKS_ALLOWED_HOSTS: hosts()
    .default([])
    .meta(
      meta('Webhooks', 'Targets that may be private addresses and plain http. Empty: public https only.'),
    ),
  RETRY_MAX_ATTEMPTS: integer(1, 20)
    .default(3)
    .meta(meta('Resilience', 'Tries of a call, the first one included.')),
  RETRY_MULTIPLIER: decimal(1, 10).default(2).meta(meta('Resilience', 'Factor between two waits.')),
  RETRY_MIN_WAIT: decimal(0, 3600)
    .default(1)
    .meta(meta('Resilience', 'Seconds before the second try of background work.')),
  RETRY_MAX_WAIT: decimal(0, 3600).default(10).meta(meta('Resilience', 'Seconds that a wait never exceeds.')),
  RETRY_JITTER: flag().default(true).meta(meta('Resilience', 'Draw each wait at random up to its length.')),
  CIRCUIT_BREAKER_FAILURE_THRESHOLD: integer(1, 1000)
    .default(5)
    .meta(meta('Resilience', 'Failures in a row that open a breaker.')),
  CIRCUIT_BREAKER_RECOVERY_TIMEOUT: decimal(1, 3600)
    .default(60)
    .meta(meta('Resilience', 'Seconds after which an open breaker lets a call through at the latest.')),
  LOAD_SHEDDING_MAX_CONCURRENT: integer(1, 1_000_000)
    .default(1000)
    .meta(meta('Resilience', 'Requests in flight over all workers and hosts above which Atlas answers 429.')),
  PROMETHEUS_ENABLED: flag().default(true).meta(meta('Observability', 'Serve /metrics.')),
  OTEL_ENABLED: flag()
    .default(false)
    .meta(meta('Observability', 'Export traces.', later)),
  OTEL_EXPORTER_OTLP_ENDPOINT: url('http', 'https')
    .optional()
    .meta(meta('Observability', 'Where traces are sent.', later)),
  OTEL_TRACES_SAMPLER_ARG: decimal(0, 1)
    .default(1)
    .meta(meta('Observability', 'Share of traces that are kept.', later)),
});
