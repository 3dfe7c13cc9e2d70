import { type ClusterStatus, findStatus } from '../cluster/status-socket.ts';
import type { Config } from '../config.ts';
import { workersOf } from '../deps.ts';
import type { DependencyHealth } from '../features/system/health/domain.ts';
import { baseUrl } from './base-url.ts';

/** The Atlas that runs on the port of these settings, as `doctor` finds it. */
export interface RunningAtlas {
  /** Null where no supervisor of this data folder serves the port. */
  readonly status: ClusterStatus | null;
  /** What answers to `/health/ready`: why it is not ready, or null where nothing answers. */
  readonly reasons: readonly string[] | null;
  /** What `/health/deep` says of everything outside; null where it does not answer. */
  readonly dependencies: readonly Pick<DependencyHealth, 'name' | 'mode' | 'status'>[] | null;
}

/** What `doctor` says of it. */
export interface RunningReport {
  readonly heading: string;
  /** Those that run, or that would. */
  readonly workers: number;
  readonly cap: number;
  readonly usesRedis: boolean;
  readonly problems: readonly string[];
  readonly notes: readonly string[];
}

const READY_MAX_MS = 2000;
// It waits for each dependency for as long as readiness may take.
const DEEP_MAX_MS = 4000;

/** Asks the supervisor and the health page; takes a few seconds at most. Throws an Error where the supervisor hangs. */
export async function findRunning(config: Config): Promise<RunningAtlas> {
  const status = await findStatus(config.ATLAS_DATA_DIR, config.API_PORT);
  const { host, port } = status ?? { host: config.API_HOST, port: config.API_PORT };
  if (port === 0) return { status, reasons: null, dependencies: null };
  const url = baseUrl(host, port);
  const [ready, deep] = await Promise.all([
    ask<{ reasons?: string[] }>(`${url}/health/ready`, READY_MAX_MS),
    status && ask<Partial<RunningAtlas>>(`${url}/health/deep`, DEEP_MAX_MS),
  ]);
  const refused = () => ready?.body?.reasons ?? [`/health/ready answers ${ready?.status}`];
  return {
    status,
    reasons: ready && (ready.status === 200 ? [] : refused()),
    dependencies: deep?.body?.dependencies ?? null,
  };
}

async function ask<T>(url: string, timeoutMs: number): Promise<{ status: number; body: T | null } | null> {
  try {
    const signal = AbortSignal.timeout(timeoutMs);
    const response = await fetch(url, { signal, keepalive: false, redirect: 'manual' });
    return { status: response.status, body: (await response.json().catch(() => null)) as T | null };
  } catch {
    return null;
  }
}

/** Compares what runs with what these settings say, and tells what is wrong with it. */
export function reportRunning(
  config: Config,
  { status, reasons, dependencies }: RunningAtlas,
): RunningReport {
  const set = {
    workers: workersOf(config),
    cap: config.LOAD_SHEDDING_MAX_CONCURRENT,
    usesRedis: config.REDIS_URL !== undefined,
  };
  if (!status) {
    const where = config.API_PORT === 0 ? 'here' : `on port ${config.API_PORT}`;
    if (reasons === null) {
      const heading = `Nothing runs ${where}; this is what these settings would start`;
      return { heading, ...set, problems: [], notes: [] };
    }
    const heading = `No Atlas of ${config.ATLAS_DATA_DIR} runs ${where}; this is what these settings would start`;
    const problem = `Something else answers ${where}. Set API_PORT to another port, or ATLAS_DATA_DIR to its folder.`;
    return { heading, ...set, problems: [problem], notes: [] };
  }
  const modes = status.slots.flatMap(({ worker }) => worker?.mode ?? []);
  const runs = {
    workers: new Set(status.slots.map(({ slot }) => slot)).size,
    cap: status.cap,
    usesRedis: modes.some((mode) => mode !== 'static'),
  };
  return {
    heading: `Atlas runs on port ${status.port} (supervisor ${status.pid}, ${runs.workers} workers, cap ${runs.cap})`,
    ...runs,
    problems: [...readyProblems(reasons), ...floorProblems(modes), ...outageProblems(dependencies ?? [])],
    notes: [
      ...difference('workers', runs.workers, set.workers),
      ...difference('cap', runs.cap, set.cap),
      ...(modes.length > 0 ? difference('Redis', inUse(runs.usesRedis), inUse(set.usesRedis)) : []),
      ...(dependencies ? usageDifferences(config, dependencies) : []),
    ],
  };
}

function readyProblems(reasons: readonly string[] | null): string[] {
  if (reasons === null) return ['Atlas is not ready: no worker answers /health/ready within 2 s.'];
  return reasons.length > 0 ? [`Atlas is not ready: ${reasons.join(', ')}.`] : [];
}

function floorProblems(modes: readonly string[]): string[] {
  const cutOff = modes.filter((mode) => mode === 'floor').length;
  if (cutOff === 0) return [];
  return [
    `${cutOff} of ${modes.length} workers are cut off from Redis and keep to their part of the cap (mode floor). Bring Redis back.`,
  ];
}

const OUTAGES = [
  ['kafka', 'Kafka does not answer where Atlas runs: events wait. Bring it back, or check KAFKA_BROKERS.'],
  [
    's3',
    'S3 does not answer where Atlas runs, or refuses it: bytes of files are refused. Bring it back, or check S3_ENDPOINT, S3_BUCKET and the keys.',
  ],
] as const;

function outageProblems(dependencies: NonNullable<RunningAtlas['dependencies']>): string[] {
  const away = new Set(dependencies.flatMap(({ name, status }) => (status === 'unhealthy' ? name : [])));
  return OUTAGES.flatMap(([name, problem]) => (away.has(name) ? problem : []));
}

function usageDifferences(config: Config, dependencies: NonNullable<RunningAtlas['dependencies']>): string[] {
  const runs = new Map(dependencies.map(({ name, mode }) => [name, mode]));
  return [
    ...difference(
      'PostgreSQL',
      runs.get('postgresql') ?? '–',
      config.DATABASE_URL ? 'connected' : 'embedded',
    ),
    ...difference('Kafka', inUse(runs.has('kafka')), inUse(config.KAFKA_BROKERS.length > 0)),
    ...difference('S3', inUse(runs.has('s3')), inUse(config.S3_ENDPOINT !== undefined)),
  ];
}

function difference(what: string, runs: number | string, set: number | string): string[] {
  if (runs === set) return [];
  return [
    `${what}: ${runs} where Atlas runs, ${set} by the settings of this shell. Ask with the settings that Atlas was started with, or restart it to apply these.`,
  ];
}

function inUse(isUsed: boolean): string {
  return isUsed ? 'in use' : 'not in use';
}
