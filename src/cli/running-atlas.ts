import { type ClusterStatus, findStatus } from '../cluster/status-socket.ts';
import type { Config } from '../config.ts';
import { workersOf } from '../deps.ts';
import type { DependencyHealth } from '../features/system/health/domain.ts';
import { baseUrl } from '../utils/base-url.ts';
import { plural } from './output.ts';

/** The Atlas running on the port of these settings, as `doctor` finds it. */
export interface RunningAtlas {
  /** Null if no supervisor of this data directory serves the port. */
  readonly status: ClusterStatus | null;
  /** Why `/health/ready` is not ready; empty if it is, null if there is no response. */
  readonly reasons: readonly string[] | null;
  /** Dependencies as `/health/deep` reports them; null if there is no response. */
  readonly dependencies: readonly Pick<DependencyHealth, 'name' | 'mode' | 'status'>[] | null;
}

/** What `doctor` reports about it. */
export interface RunningReport {
  readonly heading: string;
  /** Running workers, or those that these settings would start. */
  readonly workers: number;
  readonly cap: number;
  readonly usesRedis: boolean;
  readonly problems: readonly string[];
  readonly notes: readonly string[];
}

const READY_MAX_MS = 2000;
// It waits for each dependency as long as readiness may.
const DEEP_MAX_MS = 4000;

/** Queries the supervisor and the health endpoints, within a few seconds. Throws an Error if the supervisor hangs. */
export async function findRunning(config: Config): Promise<RunningAtlas> {
  const status = await findStatus(config.ATLAS_DATA_DIR, config.API_PORT);
  const { host, port } = status ?? { host: config.API_HOST, port: config.API_PORT };
  if (port === 0) return { status, reasons: null, dependencies: null };
  const url = baseUrl(host, port);
  // A supervisor of the release before has no `admin`.
  const forOperators = status?.admin ? baseUrl(status.admin.host, status.admin.port) : url;
  const [ready, deep] = await Promise.all([
    getJson<{ reasons?: string[] }>(`${url}/health/ready`, READY_MAX_MS),
    status && getJson<Partial<RunningAtlas>>(`${forOperators}/health/deep`, DEEP_MAX_MS),
  ]);
  const notReady = () => ready?.body?.reasons ?? [`/health/ready returned ${ready?.status}`];
  return {
    status,
    reasons: ready && (ready.status === 200 ? [] : notReady()),
    dependencies: deep?.body?.dependencies ?? null,
  };
}

async function getJson<T>(
  url: string,
  timeoutMs: number,
): Promise<{ status: number; body: T | null } | null> {
  try {
    const signal = AbortSignal.timeout(timeoutMs);
    const response = await fetch(url, { signal, keepalive: false, redirect: 'manual' });
    return { status: response.status, body: (await response.json().catch(() => null)) as T | null };
  } catch {
    return null;
  }
}

/** Compares the running Atlas with these settings and reports its problems. */
export function reportRunning(
  config: Config,
  { status, reasons, dependencies }: RunningAtlas,
): RunningReport {
  const configured = {
    workers: workersOf(config),
    cap: config.LOAD_SHEDDING_MAX_CONCURRENT,
    usesRedis: config.REDIS_URL !== undefined,
  };
  if (!status) {
    const where = config.API_PORT === 0 ? 'here' : `on port ${config.API_PORT}`;
    if (reasons === null) {
      const heading = `Atlas is not running ${where}. These settings would start:`;
      return { heading, ...configured, problems: [], notes: [] };
    }
    const heading = `The Atlas of ${config.ATLAS_DATA_DIR} is not running ${where}. These settings would start:`;
    const problem = `Something else is listening ${where}. Set API_PORT to another port or, if it is an Atlas, ATLAS_DATA_DIR to its data directory.`;
    return { heading, ...configured, problems: [problem], notes: [] };
  }
  const modes = status.slots.flatMap(({ worker }) => worker?.mode ?? []);
  const running = {
    workers: new Set(status.slots.map(({ slot }) => slot)).size,
    cap: status.cap,
    usesRedis: modes.some((mode) => mode !== 'static'),
  };
  return {
    heading: `Atlas is running on port ${status.port} (supervisor ${status.pid}, ${plural(running.workers, 'worker')}, cap ${running.cap})`,
    ...running,
    problems: [...readyProblems(reasons), ...floorProblems(modes), ...outageProblems(dependencies ?? [])],
    notes: [
      ...difference('workers', running.workers, configured.workers),
      ...difference('cap', running.cap, configured.cap),
      ...(modes.length > 0 ? difference('Redis', inUse(running.usesRedis), inUse(configured.usesRedis)) : []),
      ...(dependencies ? usageDifferences(config, dependencies) : []),
    ],
  };
}

function readyProblems(reasons: readonly string[] | null): string[] {
  if (reasons === null) return ['Atlas is not ready: no worker responded to /health/ready within 2 s.'];
  return reasons.length > 0 ? [`Atlas is not ready: ${reasons.join(', ')}.`] : [];
}

function floorProblems(modes: readonly string[]): string[] {
  const cutOff = modes.filter((mode) => mode === 'floor').length;
  if (cutOff === 0) return [];
  return [
    `${cutOff} of ${modes.length} workers cannot reach Redis and use a fixed share of the cap (mode floor). Start Redis again.`,
  ];
}

const OUTAGES = [
  [
    'kafka',
    'The running Atlas cannot reach Kafka; events are waiting. Start Kafka again, or check KAFKA_BROKERS, KAFKA_TLS, and KAFKA_SASL_MECHANISM.',
  ],
  [
    's3',
    'The running Atlas cannot use S3; file content is unavailable. Start S3 again, or check S3_ENDPOINT, S3_BUCKET, and the keys.',
  ],
  [
    'files',
    'The running Atlas cannot write files. Let its user write the folder objects of ATLAS_DATA_DIR, and check the disk.',
  ],
] as const;

function outageProblems(dependencies: NonNullable<RunningAtlas['dependencies']>): string[] {
  const unhealthy = new Set(dependencies.flatMap(({ name, status }) => (status === 'unhealthy' ? name : [])));
  return OUTAGES.flatMap(([name, problem]) => (unhealthy.has(name) ? problem : []));
}

function usageDifferences(config: Config, dependencies: NonNullable<RunningAtlas['dependencies']>): string[] {
  const modes = new Map(dependencies.map(({ name, mode }) => [name, mode]));
  return [
    ...difference(
      'PostgreSQL',
      modes.get('postgresql') ?? '–',
      config.DATABASE_URL ? 'connected' : 'embedded',
    ),
    ...difference('Kafka', inUse(modes.has('kafka')), inUse(config.KAFKA_BROKERS.length > 0)),
    ...difference('S3', inUse(modes.has('s3')), inUse(config.S3_ENDPOINT !== undefined)),
  ];
}

function difference(what: string, running: number | string, configured: number | string): string[] {
  if (running === configured) return [];
  return [
    `${what}: ${running} in the running Atlas, ${configured} in the settings of this shell. Restart Atlas to apply these settings, or run this command with those of the running Atlas.`,
  ];
}

function inUse(isUsed: boolean): string {
  return isUsed ? 'in use' : 'not in use';
}
