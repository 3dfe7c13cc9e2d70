import { type ClusterStatus, findStatus } from '../cluster/status-socket.ts';
import type { Config } from '../config.ts';
import { workersOf } from '../deps.ts';
import { baseUrl } from './base-url.ts';

/** The Atlas that runs on the port of these settings, as `doctor` finds it. */
export interface RunningAtlas {
  /** Null where no supervisor of this data folder serves the port. */
  readonly status: ClusterStatus | null;
  /** What answers to `/health/ready`: why it is not ready, or null where nothing answers. */
  readonly reasons: readonly string[] | null;
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

/** Asks the supervisor and the health page; takes a few seconds at most. Throws an Error where the supervisor hangs. */
export async function findRunning(config: Config): Promise<RunningAtlas> {
  const status = await findStatus(config.ATLAS_DATA_DIR, config.API_PORT);
  const { host, port } = status ?? { host: config.API_HOST, port: config.API_PORT };
  return { status, reasons: port === 0 ? null : await askReady(baseUrl(host, port)) };
}

async function askReady(url: string): Promise<readonly string[] | null> {
  try {
    const signal = AbortSignal.timeout(READY_MAX_MS);
    const response = await fetch(`${url}/health/ready`, { signal, keepalive: false, redirect: 'manual' });
    const body = (await response.json().catch(() => null)) as { reasons?: string[] } | null;
    return response.ok ? [] : (body?.reasons ?? [`/health/ready answers ${response.status}`]);
  } catch {
    return null;
  }
}

/** Compares what runs with what these settings say, and tells what is wrong with it. */
export function reportRunning(config: Config, { status, reasons }: RunningAtlas): RunningReport {
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
    problems: [...readyProblems(reasons), ...floorProblems(modes)],
    notes: [
      ...difference('workers', runs.workers, set.workers),
      ...difference('cap', runs.cap, set.cap),
      ...(modes.length > 0 ? difference('Redis', inUse(runs.usesRedis), inUse(set.usesRedis)) : []),
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

function difference(what: string, runs: number | string, set: number | string): string[] {
  if (runs === set) return [];
  return [
    `${what}: ${runs} where Atlas runs, ${set} by the settings of this shell. Restart Atlas to apply them.`,
  ];
}

function inUse(isUsed: boolean): string {
  return isUsed ? 'in use' : 'not in use';
}
