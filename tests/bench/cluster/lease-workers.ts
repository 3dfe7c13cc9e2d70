import { until } from '../../support/until.ts';
import type { LeaseLine, LeaseOrder } from '../load/lease-worker.ts';
import { undoAtEnd } from '../support/clean-up.ts';
import { freshFolder } from '../support/folders.ts';
import { inRepository } from '../support/processes.ts';
import type { BenchRedis } from '../support/redis.ts';

export const CAP = 200;
export const WORKERS = 4;
// A report older than this is from a dead worker.
const REPORT_AGE_MS_MAX = 500;
const READY_TIMEOUT_MS = 20_000;
const READY_SHARE = 0.95;

/** A worker process that leases permits of the cluster, and its reports so far. */
export interface LeaseWorker {
  readonly pid: number;
  readonly lines: readonly LeaseLine[];
  /** Whether it exited without {@link LeaseWorker.kill}. */
  readonly hasFailed: () => boolean;
  /** Sends SIGKILL and waits for its exit. */
  kill(): Promise<void>;
}

let incarnations = 0;

/** Starts a worker with a demand and a unique id. */
export function startLeaseWorker(
  redis: BenchRedis,
  prefix: string,
  demand: Pick<LeaseOrder, 'demand' | 'holdMs'>,
): LeaseWorker {
  const order: LeaseOrder = {
    redisUrl: redis.url,
    prefix,
    cap: CAP,
    workerId: `bench-${process.pid}-${++incarnations}`,
    workers: WORKERS,
    ...demand,
  };
  const { PATH = '', HOME = '' } = process.env;
  const child = Bun.spawn(
    [process.execPath, inRepository('tests/bench/load/lease-worker.ts'), JSON.stringify(order)],
    {
      cwd: freshFolder(),
      env: { PATH, HOME },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'inherit',
    },
  );
  const lines: LeaseLine[] = [];
  void readLines(child.stdout, lines);
  let isKept = true;
  let hasEnded = false;
  void child.exited.then(() => {
    hasEnded = isKept;
  });
  const kill = undoAtEnd(async () => {
    isKept = false;
    child.kill('SIGKILL');
    await child.exited;
  });
  return { pid: child.pid, lines, hasFailed: () => hasEnded, kill };
}

async function readLines(output: ReadableStream<Uint8Array>, lines: LeaseLine[]): Promise<void> {
  let rest = '';
  const decoder = new TextDecoder();
  for await (const bytes of output) {
    const parts = (rest + decoder.decode(bytes, { stream: true })).split('\n');
    rest = parts.pop()!;
    for (const part of parts) if (part.startsWith('{')) lines.push(JSON.parse(part) as LeaseLine);
  }
}

/** Returns the sum of the limits that these workers reported last. */
export function limitOfAll(workers: readonly LeaseWorker[]): number {
  const nowMs = performance.timeOrigin + performance.now();
  const last = workers.map(({ lines }) => lines.at(-1));
  return last.reduce(
    (sum, line) => sum + (line && nowMs - line.atMs < REPORT_AGE_MS_MAX ? line.limit : 0),
    0,
  );
}

/** Throws if one of these workers has failed. Its errors are on standard error. */
export function requireAlive(workers: readonly LeaseWorker[]): void {
  if (workers.some((worker) => worker.hasFailed())) throw new Error('A worker of the benchmark failed.');
}

/** Waits until these workers hold nearly the whole cap, and each of them a part. */
export async function untilLeased(workers: readonly LeaseWorker[]): Promise<void> {
  const limits = () => workers.map(({ lines }) => lines.at(-1)?.limit ?? 0);
  await until(
    () => {
      requireAlive(workers);
      return limits().every((limit) => limit > 0) && limitOfAll(workers) >= READY_SHARE * CAP;
    },
    {
      deadlineMs: READY_TIMEOUT_MS,
      what: `every worker has permits, and all together ${READY_SHARE * CAP} of ${CAP}`,
      details: () => `Permits by worker: ${limits().join(', ')}`,
    },
  );
}
