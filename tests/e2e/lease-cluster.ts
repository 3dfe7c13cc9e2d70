import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../support/until.ts';
import { LeaseBoard, MODES } from './lease-board.ts';

const WORKER = join(import.meta.dir, 'lease-worker.ts');
/** How long a worker that is cut off waits before it goes up to its floor: longer than any request of these tests. */
export const RISE_AFTER_MS = 1500;

/** A worker process that shares a cap over Redis and admits requests that do nothing but take their time. */
export interface LeaseWorker {
  readonly slot: number;
  readonly pid: number;
  /** Lets so many callers at a time want to be served, each request taking about the time. */
  want(callers: number, holdMs?: number): void;
  readonly inFlight: number;
  readonly inFlightPeak: number;
  readonly admitted: number;
  readonly limit: number;
  readonly mode: (typeof MODES)[number];
  readonly renewalFailures: number;
  /** Workers among which it divides the cap when it is cut off. */
  readonly knownWorkers: number;
  /** Makes it tell the account that another one is dead, as a supervisor does. */
  reportDeathOf(other: LeaseWorker): void;
  pause(): void;
  resume(): void;
  /** Ends it with -9, and what it has in flight. Answers how much that was. */
  kill(): Promise<number>;
  /** Ends it in order. */
  stop(): Promise<void>;
}

/** Workers with one cap, on one board. */
export interface LeaseCluster {
  readonly workers: readonly LeaseWorker[];
  readonly board: LeaseBoard;
  /** Permits that the workers believe to have, all together. */
  readonly held: number;
}

interface ClusterOptions {
  /** Where each worker finds Redis: one worker for each. */
  readonly urls: readonly string[];
  readonly cap: number;
  readonly prefix?: string;
  /** Workers that each knows of at its start: those of its own host. */
  readonly workersOfHost?: number;
}

const DEADLINE_MS = 20_000;
const running = new Map<LeaseCluster, () => Promise<void>>();
let clusters = 0;

/** Starts the workers and waits until each has its part of the idle cap. End them with {@link stopLeaseClusters} after each test. */
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
  // While nobody wants anything, the whole cap is leased in equal parts.
  const share = Math.floor(cap / urls.length);
  await untilWorkers(() => workers.every(({ mode, limit }) => mode === 'fresh' && limit >= share));
  return started;
}

/** Ends every worker that runs. */
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
      return board.buried(slot);
    },
    async stop() {
      await end(child, 'SIGTERM');
      board.buried(slot);
    },
  };
}

async function end(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((done) => child.once('exit', done));
  child.kill(signal);
  await ended;
}

/** What these workers have in flight together. */
export function inFlightOf(workers: readonly LeaseWorker[]): number {
  return workers.reduce((sum, { inFlight }) => sum + inFlight, 0);
}

/** Waits until the condition holds. When it does not in time, it throws with how every worker stands. */
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

/** Waits until the condition holds and prints how long that took, which is a figure of the report and never asserted. */
export async function measure(what: string, condition: () => boolean): Promise<void> {
  const startMs = performance.now();
  await untilWorkers(condition);
  console.log(`${what}: ${Math.round(performance.now() - startMs)} ms`);
}

/** The mean of a figure, read every few milliseconds as long as told. */
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
