import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../support/until.ts';
import { LeaseBoard, MODES } from './lease-board.ts';

const WORKER = join(import.meta.dir, 'lease-worker.ts');
/** How long a worker that is cut off waits before it rises to its floor: longer than any request of these tests. */
export const RISE_AFTER_MS = 1500;

/** A worker process that shares a cap through Redis, and admits requests that only take time. */
export interface LeaseWorker {
  readonly slot: number;
  readonly pid: number;
  /** Sets the number of concurrent callers and the mean duration of their requests. */
  want(callers: number, holdMs?: number): void;
  readonly inFlight: number;
  readonly inFlightPeak: number;
  readonly admitted: number;
  readonly limit: number;
  readonly mode: (typeof MODES)[number];
  readonly renewalFailures: number;
  /** Number of workers among which it divides the cap when it is cut off. */
  readonly knownWorkers: number;
  /** Makes it report the death of another worker to the account, as a supervisor does. */
  reportDeathOf(other: LeaseWorker): void;
  pause(): void;
  resume(): void;
  /** Kills it with SIGKILL. Returns the number of requests it had in flight. */
  kill(): Promise<number>;
  /** Stops it gracefully. */
  stop(): Promise<void>;
}

/** Workers with one cap, on one board. */
export interface LeaseCluster {
  readonly workers: readonly LeaseWorker[];
  readonly board: LeaseBoard;
  /** Sum of the permits that the workers believe they hold. */
  readonly held: number;
}

interface ClusterOptions {
  /** The Redis URL of each worker: one worker per URL. */
  readonly urls: readonly string[];
  readonly cap: number;
  readonly prefix?: string;
  /** Number of workers that each knows at its start: those of its host. */
  readonly workersOfHost?: number;
}

const DEADLINE_MS = 20_000;
const running = new Map<LeaseCluster, () => Promise<void>>();
let clusters = 0;

/** Starts workers and waits until each has its share of the idle cap. Call {@link stopLeaseClusters} after each test. */
export async function startLeaseCluster(options: ClusterOptions): Promise<LeaseCluster> {
  const { urls, cap, prefix = 'test', workersOfHost = urls.length } = options;
  const folder = await mkdtemp(join(tmpdir(), 'atlas-leases-'));
  const board = LeaseBoard.create(join(folder, 'board'));
  const cluster = ++clusters;
  const children = urls.map((url, slot) =>
    spawn(process.execPath, [WORKER], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: {
        REDIS_URL: url,
        LEASE_BOARD: board.path,
        LEASE_SLOT: `${slot}`,
        LEASE_CAP: `${cap}`,
        LEASE_PREFIX: prefix,
        LEASE_WORKERS: `${workersOfHost}`,
        LEASE_WORKER_IDS: `test-${process.pid}-${cluster}`,
        LEASE_RISE_AFTER_MS: `${RISE_AFTER_MS}`,
      },
    }),
  );
  const workers = children.map((child, slot) => workerOf(child, board, slot));
  const started: LeaseCluster = {
    workers,
    board,
    get held() {
      return workers.reduce((sum, { limit, inFlight }) => sum + Math.max(limit, inFlight), 0);
    },
  };
  running.set(started, async () => {
    for (const child of children) await end(child, 'SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });
  // Without demand, the whole cap is leased in equal parts.
  const share = Math.floor(cap / urls.length);
  await untilWorkers(() => workers.every(({ mode, limit }) => mode === 'fresh' && limit >= share));
  return started;
}

/** Kills every running worker. */
export async function stopLeaseClusters(): Promise<void> {
  for (const stop of running.values()) await stop();
  running.clear();
}

function workerOf(child: ChildProcess, board: LeaseBoard, slot: number): LeaseWorker {
  return {
    slot,
    pid: child.pid!,
    want(callers, holdMs = 100) {
      board.set(slot, 'holdMs', holdMs);
      board.set(slot, 'demand', callers);
    },
    get inFlight() {
      return board.get(slot, 'inFlight');
    },
    get inFlightPeak() {
      return board.get(slot, 'inFlightPeak');
    },
    get admitted() {
      return board.get(slot, 'admitted');
    },
    get limit() {
      return board.get(slot, 'limit');
    },
    get mode() {
      return MODES[board.get(slot, 'mode')]!;
    },
    get renewalFailures() {
      return board.get(slot, 'renewalFailures');
    },
    get knownWorkers() {
      return board.get(slot, 'knownWorkers');
    },
    reportDeathOf: (other) => board.set(slot, 'deathToReport', 1 + other.slot),
    pause: () => process.kill(child.pid!, 'SIGSTOP'),
    resume: () => process.kill(child.pid!, 'SIGCONT'),
    async kill() {
      await end(child, 'SIGKILL');
      return board.reap(slot);
    },
    async stop() {
      await end(child, 'SIGTERM');
      board.reap(slot);
    },
  };
}

async function end(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((done) => child.once('exit', done));
  child.kill(signal);
  await ended;
}

/** Returns the number of requests in flight in these workers. */
export function inFlightOf(workers: readonly LeaseWorker[]): number {
  return workers.reduce((sum, { inFlight }) => sum + inFlight, 0);
}

/** Waits until the condition holds. The error after the deadline describes every worker. */
export async function untilWorkers(condition: () => boolean | Promise<boolean>): Promise<void> {
  await until(condition, {
    deadlineMs: DEADLINE_MS,
    details: () => [...running.keys()].flatMap(({ workers }) => workers.map(describeWorker)).join('\n'),
  });
}

function describeWorker({ slot, mode, limit, inFlight, admitted, renewalFailures }: LeaseWorker): string {
  const state = `${mode || 'not up'}, ${inFlight} in flight of ${limit}`;
  return `  worker ${slot}: ${state}, ${admitted} admitted, ${renewalFailures} renewals failed`;
}

/** Waits until the condition holds, and prints how long that took. The time is never asserted. */
export async function measure(what: string, condition: () => boolean): Promise<void> {
  const startMs = performance.now();
  await untilWorkers(condition);
  console.log(`${what}: ${Math.round(performance.now() - startMs)} ms`);
}

/** Returns the mean of a value, sampled every 5 ms for a time. */
export async function meanOf(read: () => number, forMs: number): Promise<number> {
  const untilMs = performance.now() + forMs;
  let [sum, samples] = [0, 0];
  while (performance.now() < untilMs) {
    sum += read();
    samples++;
    await Bun.sleep(5);
  }
  return sum / samples;
}
