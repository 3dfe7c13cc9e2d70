import { availableParallelism } from 'node:os';
import { type Config, maskUrl } from '../config.ts';
import { type Deps, workersOf } from '../deps.ts';
import { baseUrl } from '../utils/base-url.ts';
import { DEMO_ACCOUNTS } from '../utils/demo-data.ts';
import { VERSION } from '../version.ts';

/** A started Atlas, as the banner shows it. */
export interface Started {
  readonly config: Config;
  readonly databaseMode: Deps['databaseMode'];
  readonly port: number;
  /** The first key, if this start created one. */
  readonly token: string | null;
  /** The `PermitMode` of each worker. */
  readonly modes: readonly string[];
}

/** Returns the text that ends a start: what runs where, and a first request to paste into a shell. */
export function startupBanner({ config, databaseMode, port, token, modes }: Started): string {
  const url = baseUrl(config.API_HOST, port);
  const lines = [
    '',
    `Atlas ${VERSION} is listening on ${url}`,
    ...(config.DOCS_ENABLED ? [`  docs         ${url}/docs`] : []),
    ...(config.ADMIN_PORT === undefined
      ? []
      : [`  operators    ${baseUrl(config.ADMIN_HOST, config.ADMIN_PORT)}/metrics and /health/deep`]),
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
  if (process.platform !== 'linux') return `${workers} (several workers need Linux)`;
  const requested = config.API_WORKERS ?? availableParallelism();
  if (workers === requested) return `${workers}`;
  const origin = config.API_WORKERS === undefined ? 'one per core' : 'API_WORKERS';
  return `${workers} instead of ${requested} (${origin}), because LOAD_SHEDDING_MAX_CONCURRENT is ${config.LOAD_SHEDDING_MAX_CONCURRENT}`;
}

function limitsText(config: Config, modes: readonly string[]): string {
  const cap = `${config.LOAD_SHEDDING_MAX_CONCURRENT} requests in flight`;
  if (!config.REDIS_URL) return `${cap}, split equally among the workers`;
  return modes.includes('floor')
    ? `${cap}; Redis is unavailable, so each worker uses a fixed share until it returns`
    : `${cap}, shared through Redis`;
}

function eventsText({ KAFKA_BROKERS: brokers, KAFKA_TOPIC_PREFIX: prefix }: Config): string {
  return brokers.length === 0
    ? 'stored in PostgreSQL'
    : `stored in PostgreSQL and sent to Kafka (${brokers.join(', ')}), topic ${prefix}.events`;
}

function filesText({ S3_ENDPOINT, S3_BUCKET, ATLAS_DATA_DIR }: Config): string {
  return S3_ENDPOINT === undefined
    ? `in ${ATLAS_DATA_DIR}/objects`
    : `in S3 (${maskUrl(S3_ENDPOINT)}), bucket ${S3_BUCKET}`;
}

function firstSteps(config: Config, url: string, token: string | null): string[] {
  if (token === null) {
    const create = 'Create an API key: npm run -s atlas -- key create --name NAME';
    return ['Try it:', `  curl -s ${url}/health`, '', create, ''];
  }
  const key = ['Your API key (shown only once):', `  ${token}`, ''];
  const authorization = `-H 'Authorization: Bearer ${token}'`;
  if (config.ENVIRONMENT === 'production')
    return [...key, 'Try it:', `  curl -s ${url}/v1/ping ${authorization}`, ''];
  const body = { debitAccountId: DEMO_ACCOUNTS.alice, creditAccountId: DEMO_ACCOUNTS.bob, amount: 1250 };
  const transfer = `curl -s ${url}/v1/transfers ${authorization} -H 'Idempotency-Key: first' -H 'Content-Type: application/json' -d '${JSON.stringify(body)}'`;
  return [...key, 'Move 12.50 EUR from Alice to Bob:', `  ${transfer}`, ''];
}
