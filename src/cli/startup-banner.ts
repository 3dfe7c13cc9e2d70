import { availableParallelism } from 'node:os';
import type { Config } from '../config.ts';
import { type Deps, workersOf } from '../deps.ts';
import { VERSION } from '../version.ts';
import { baseUrl } from './base-url.ts';
import { DEMO_ACCOUNTS } from './seed.ts';

/** What was started, as a person is told it. */
export interface Started {
  readonly config: Config;
  readonly databaseMode: Deps['databaseMode'];
  readonly port: number;
  /** The first key, where this start made one. */
  readonly token: string | null;
  /** Where the limits of the workers come from: see `PermitMode`. */
  readonly modes: readonly string[];
}

/** The text that ends a start: what runs where, and a first request to paste into a shell. */
export function startupBanner({ config, databaseMode, port, token, modes }: Started): string {
  const url = baseUrl(config.API_HOST, port);
  const lines = [
    '',
    `Atlas ${VERSION} serves on ${url}`,
    ...(config.DOCS_ENABLED ? [`  docs         ${url}/docs`] : []),
    `  PostgreSQL   ${databaseMode}${databaseMode === 'embedded' ? `, data in ${config.ATLAS_DATA_DIR}` : ''}`,
    `  workers      ${workersText(config)}`,
    `  limits       ${limitsText(config, modes)}`,
    `  events       ${eventsText(config)}`,
    `  files        ${filesText(config)}`,
    '',
    ...firstSteps(config, url, token),
  ];
  return `${lines.join('\n')}\n`;
}

function workersText(config: Config): string {
  const workers = workersOf(config);
  if (process.platform !== 'linux') return `${workers}, as only Linux spreads connections over more`;
  const wanted = config.API_WORKERS ?? availableParallelism();
  if (workers === wanted) return `${workers}`;
  const origin = config.API_WORKERS === undefined ? 'one for each core' : 'of API_WORKERS';
  return `${workers}, not ${wanted} (${origin}): each needs one of the ${config.LOAD_SHEDDING_MAX_CONCURRENT} requests in flight`;
}

function limitsText(config: Config, modes: readonly string[]): string {
  const cap = `${config.LOAD_SHEDDING_MAX_CONCURRENT} requests in flight`;
  if (!config.REDIS_URL) return `${cap}, in equal shares of the workers`;
  return modes.includes('floor')
    ? `${cap}; Redis does not answer, so each worker keeps to its part until it does`
    : `${cap}, shared through Redis`;
}

function eventsText({ KAFKA_BROKERS: brokers, KAFKA_TOPIC_PREFIX: prefix }: Config): string {
  return brokers.length === 0
    ? 'kept in PostgreSQL'
    : `kept in PostgreSQL and sent to Kafka (${brokers.join(', ')}), topic ${prefix}.events`;
}

function filesText({ S3_ENDPOINT, S3_BUCKET, ATLAS_DATA_DIR }: Config): string {
  return S3_ENDPOINT === undefined
    ? `in ${ATLAS_DATA_DIR}/objects`
    : `in S3 (${S3_ENDPOINT}), bucket ${S3_BUCKET}`;
}

function firstSteps(config: Config, url: string, token: string | null): string[] {
  if (token === null) {
    const another = 'Another API key: npm run -s atlas -- key create --name NAME';
    return ['Try it:', `  curl -s ${url}/health`, '', another, ''];
  }
  const key = ['Your API key, shown this once:', `  ${token}`, ''];
  const authorization = `-H 'Authorization: Bearer ${token}'`;
  if (config.ENVIRONMENT === 'production')
    return [...key, 'Try it:', `  curl -s ${url}/v1/ping ${authorization}`, ''];
  const body = { debitAccountId: DEMO_ACCOUNTS.alice, creditAccountId: DEMO_ACCOUNTS.bob, amount: 1250 };
  const transfer = `curl -s ${url}/v1/transfers ${authorization} -H 'Idempotency-Key: first' -H 'Content-Type: application/json' -d '${JSON.stringify(body)}'`;
  return [...key, 'Move 12.50 EUR from Alice to Bob:', `  ${transfer}`, ''];
}
