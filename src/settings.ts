import { z } from 'zod';
import {
  addressRanges,
  brokers,
  choice,
  decimal,
  file,
  flag,
  host,
  integer,
  mailSender,
  meta,
  name,
  origins,
  sealingKey,
  sealingKeys,
  smtpUrl,
  url,
} from './utils/setting-types.ts';

const later = { unused: true } as const;

/**
 * The core settings. Each feature declares its own; `config.ts` joins them into one schema, from which `.env.example`,
 * `atlas config`, and `docs/settings.md` are generated.
 */
export const coreSettings = {
  ENVIRONMENT: choice('development', 'test', 'staging', 'production')
    .default('development')
    .meta(meta('Service', 'Environment name. Production logs JSON, sends HSTS, and creates no demo data.')),
  API_HOST: host()
    .default('127.0.0.1')
    .meta(meta('Service', 'Address to listen on. 0.0.0.0 listens on all interfaces.')),
  API_PORT: integer(0, 65_535).default(8000).meta(meta('Service', 'Port to listen on. 0 picks a free port.')),
  API_WORKERS: integer(1, 64)
    .optional()
    .meta(meta('Service', 'Worker processes sharing the port (Linux only). Unset: one per core.')),
  ADMIN_PORT: integer(1, 65_535)
    .optional()
    .meta(
      meta(
        'Service',
        'Private port for /metrics and /health/deep, which API_PORT then no longer serves. Unset: API_PORT serves them.',
      ),
    ),
  ADMIN_HOST: host()
    .default('127.0.0.1')
    .meta(meta('Service', 'Address of ADMIN_PORT. 0.0.0.0 listens on all interfaces.')),
  TRUSTED_PROXIES: addressRanges()
    .default([])
    .meta(
      meta(
        'Service',
        'Addresses and CIDR ranges of the proxies whose X-Forwarded-For or Forwarded names the client. Empty: none.',
      ),
    ),
  HTTP_TIMEOUT: decimal(0.1, 240)
    .default(30)
    .meta(meta('Service', 'Seconds until a request times out with 504. Callers can request less.')),
  CORS_ALLOWED_ORIGINS: origins()
    .default([])
    .meta(meta('Service', 'Origins allowed to read responses, comma-separated. Empty: none.')),
  DOCS_ENABLED: flag()
    .default(true)
    .meta(meta('Service', 'Serve /docs, /redoc, /openapi.json, and /asyncapi.json.')),
  ATLAS_DATA_DIR: z
    .string()
    .min(1)
    .default('.atlas')
    .meta(meta('Service', 'Directory for local data, such as the embedded PostgreSQL and files.')),
  LOG_LEVEL: choice('trace', 'debug', 'info', 'warn', 'error', 'fatal')
    .default('info')
    .meta(meta('Logs', 'Minimum level to log. debug logs every request.')),
  LOG_FORMAT: choice('auto', 'json', 'pretty')
    .default('auto')
    .meta(meta('Logs', 'Log format. auto is pretty in development and JSON elsewhere.')),
  DATABASE_URL: url('postgres', 'postgresql')
    .optional()
    .meta(
      meta('PostgreSQL', 'PostgreSQL connection URL. Unset: an embedded server under ATLAS_DATA_DIR.', {
        secret: true,
      }),
    ),
  DATABASE_REPLICA_URL: url('postgres', 'postgresql')
    .optional()
    .meta(meta('PostgreSQL', 'Connection URL of a read replica.', { secret: true, ...later })),
  DATABASE_POOL_SIZE: integer(1, 1000)
    .default(100)
    .meta(meta('PostgreSQL', 'Connections this host may keep open.')),
  DATABASE_MAX_OVERFLOW: integer(0, 1000)
    .default(50)
    .meta(meta('PostgreSQL', 'Additional connections under load.')),
  DATABASE_TIMEOUT: decimal(0.1, 600)
    .default(10)
    .meta(meta('PostgreSQL', 'Timeout in seconds for a statement and for connecting.')),
  ISOLATION: choice('on', 'off')
    .optional()
    .meta(
      meta(
        'Identity',
        'Whether organizations see only what is theirs. Written to the database, for all hosts. Unset: as it is there, which is on in a new database. Turn it on once no host of an older release runs.',
      ),
    ),
  REDIS_URL: url('redis', 'rediss')
    .optional()
    .meta(
      meta('Redis', 'Redis URL; rediss:// for TLS. Unset: each worker has a fixed share of the limits.', {
        secret: true,
      }),
    ),
  REDIS_CA_FILE: file()
    .optional()
    .meta(
      meta(
        'Redis',
        'PEM file with the authority that issued the certificate of Redis, for rediss://. Unset: those of the system.',
      ),
    ),
  REDIS_PREFIX: name()
    .default('atlas')
    .meta(meta('Redis', 'Prefix of every key, so that deployments can share one Redis.')),
  REDIS_MAX_CONNECTIONS: integer(1, 1000)
    .default(50)
    .meta(
      meta(
        'Redis',
        'Connections of this host to Redis. With fewer than 2 per worker, the cache is in memory.',
      ),
    ),
  REDIS_TIMEOUT: decimal(0.01, 60).default(5).meta(meta('Redis', 'Timeout of a command in seconds.')),
  KAFKA_BROKERS: brokers()
    .default([])
    .meta(meta('Kafka', 'Brokers as host:port, comma-separated. Empty: events stay in PostgreSQL.')),
  KAFKA_TLS: flag()
    .default(false)
    .meta(meta('Kafka', 'Encrypt the connections to the brokers and check their certificates.')),
  KAFKA_CA_FILE: file()
    .optional()
    .meta(
      meta(
        'Kafka',
        'PEM file with the authority that issued the certificates of the brokers. Unset: those of the system.',
      ),
    ),
  KAFKA_SASL_MECHANISM: choice('PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512')
    .optional()
    .meta(meta('Kafka', 'How to log in to the brokers; PLAIN needs KAFKA_TLS. Unset: no login.')),
  KAFKA_SASL_USERNAME: z.string().min(1).optional().meta(meta('Kafka', 'User to log in as.')),
  KAFKA_SASL_PASSWORD: z
    .string()
    .min(1)
    .optional()
    .meta(meta('Kafka', 'Password of the user.', { secret: true })),
  KAFKA_TOPIC_PREFIX: name()
    .default('atlas')
    .meta(meta('Kafka', 'Prefix of every topic and group, so that deployments can share brokers.')),
  S3_ENDPOINT: url('http', 'https')
    .optional()
    .meta(meta('S3', 'Endpoint of the object store. Unset: files under ATLAS_DATA_DIR.')),
  S3_BUCKET: z
    .string()
    .min(3, { error: 'is too short' })
    .max(63, { error: 'is too long' })
    .meta({ allowed: 'text of 3 to 63 characters' })
    .optional()
    .meta(meta('S3', 'Bucket for files. It must exist.')),
  S3_PUBLIC_ENDPOINT: url('http', 'https')
    .optional()
    .meta(meta('S3', 'Endpoint that clients use for presigned links. Unset: S3_ENDPOINT.')),
  S3_REGION: z.string().min(1).default('us-east-1').meta(meta('S3', 'Region used to sign requests.')),
  S3_ACCESS_KEY_ID: z.string().min(1).optional().meta(meta('S3', 'Access key ID.')),
  S3_SECRET_ACCESS_KEY: z
    .string()
    .min(1)
    .optional()
    .meta(meta('S3', 'Secret access key.', { secret: true })),
  SMTP_URL: smtpUrl()
    .optional()
    .meta(
      meta(
        'Mail',
        'Mail server. smtps:// starts with TLS, smtp:// upgrades to it, which is required with a login. Unset: mails are files under ATLAS_DATA_DIR.',
        { secret: true },
      ),
    ),
  SMTP_USER: z.string().min(1).optional().meta(meta('Mail', 'User to log in as, if not in SMTP_URL.')),
  SMTP_PASSWORD: z
    .string()
    .min(1)
    .optional()
    .meta(meta('Mail', 'Password of the user, if not in SMTP_URL.', { secret: true })),
  SMTP_CA_FILE: file()
    .optional()
    .meta(
      meta(
        'Mail',
        'PEM file with the authority that issued the certificate of the mail server. Unset: those of the system.',
      ),
    ),
  MAIL_FROM: mailSender()
    .optional()
    .meta(meta('Mail', 'Who mails are from. SMTP_URL requires it. Unset: Atlas <atlas@localhost>.')),
  SECRETS_KEY: sealingKey()
    .optional()
    .meta(
      meta(
        'Secrets',
        'Key that seals webhook secrets, mails and other secrets in PostgreSQL, the same on every host. Unset: plain text, in development only.',
        { secret: true },
      ),
    ),
  SECRETS_FORMER_KEYS: sealingKeys('SECRETS_KEY')
    .default([])
    .meta(
      meta('Secrets', 'Former values of SECRETS_KEY, which still open what they sealed.', { secret: true }),
    ),
  AUDIT_KEY: sealingKey()
    .optional()
    .meta(
      meta(
        'Secrets',
        'Key that seals the audit log against changes in PostgreSQL, the same on every host. Unset: a file in ATLAS_DATA_DIR with the embedded PostgreSQL, else nothing is sealed.',
        { secret: true },
      ),
    ),
  AUDIT_FORMER_KEYS: sealingKeys('AUDIT_KEY')
    .default([])
    .meta(
      meta('Secrets', 'Former values of AUDIT_KEY, which still verify what they sealed.', { secret: true }),
    ),
  RETRY_MAX_ATTEMPTS: integer(1, 20)
    .default(3)
    .meta(meta('Resilience', 'Maximum attempts of a call, including the first.')),
  RETRY_MULTIPLIER: decimal(1, 10).default(2).meta(meta('Resilience', 'Factor between successive waits.')),
  RETRY_MIN_WAIT: decimal(0, 3600)
    .default(1)
    .meta(meta('Resilience', 'Seconds before the first retry of background work.')),
  RETRY_MAX_WAIT: decimal(0, 3600)
    .default(10)
    .meta(meta('Resilience', 'Maximum wait between retries, in seconds.')),
  RETRY_JITTER: flag()
    .default(true)
    .meta(meta('Resilience', 'Randomize each wait between zero and its length (full jitter).')),
  CIRCUIT_BREAKER_FAILURE_THRESHOLD: integer(1, 1000)
    .default(5)
    .meta(meta('Resilience', 'Consecutive failures that open a circuit breaker.')),
  CIRCUIT_BREAKER_RECOVERY_TIMEOUT: decimal(1, 3600)
    .default(60)
    .meta(meta('Resilience', 'Maximum seconds until an open circuit breaker lets a trial call through.')),
  LOAD_SHEDDING_MAX_CONCURRENT: integer(1, 1_000_000)
    .default(1000)
    .meta(
      meta(
        'Resilience',
        'Maximum requests in flight across all workers and hosts; beyond that, Atlas returns 429.',
      ),
    ),
  PROMETHEUS_ENABLED: flag().default(true).meta(meta('Observability', 'Serve /metrics.')),
  OTEL_ENABLED: flag()
    .default(false)
    .meta(meta('Observability', 'Export traces.', later)),
  OTEL_EXPORTER_OTLP_ENDPOINT: url('http', 'https')
    .optional()
    .meta(meta('Observability', 'OTLP endpoint for traces.', later)),
  OTEL_TRACES_SAMPLER_ARG: decimal(0, 1)
    .default(1)
    .meta(meta('Observability', 'Fraction of traces to sample.', later)),
};
