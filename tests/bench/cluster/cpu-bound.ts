import { freePort } from '../../../infra/free-port.ts';
import { PING_PATH } from '../servers/ping-app.ts';
import type { BenchDatabase } from '../support/database.ts';
import { load } from '../support/oha.ts';
import { inRepository, type Server, startServer } from '../support/processes.ts';
import { progress } from '../support/progress.ts';
import { alignedTable, count, decimal, median } from '../support/statistics.ts';
import type { ClusterPlan } from './plan.ts';

const CORES = [0, 1] as const;
const CALLERS = 16;
const WARM_UP_SECONDS = 1;

/** Throughput of a route that computes for a millisecond, with one worker and with two. */
export interface CpuBoundResult {
  readonly one: number;
  readonly two: number;
  /** Median of the ratios of each round. */
  readonly ratio: number;
  /** Cores used by the client next to two workers. On a machine with two cores, the workers lack them. */
  readonly clientShare: number;
  readonly serverShare: number;
}

/** Measures one worker and two on one port in turn. Each worker has a core, and the client shares both. */
export async function measureCpuBound(
  plan: ClusterPlan,
  oha: string,
  database: BenchDatabase,
): Promise<CpuBoundResult> {
  const [single, double] = [await startWorkers(1, database), await startWorkers(2, database)];
  const run = (workers: readonly Server[], seconds: number) =>
    load(
      oha,
      workers[0]!.url + PING_PATH,
      workers.map(({ pid }) => pid),
      seconds,
      { connections: CALLERS, clientCore: null },
    );
  for (const workers of [single, double]) await run(workers, WARM_UP_SECONDS);
  const rounds = [];
  for (let round = 0; round < plan.cpuRounds; round++) {
    const one = await run(single, plan.cpuSeconds);
    const two = await run(double, plan.cpuSeconds);
    rounds.push({ one, two });
    progress(
      `two workers: round ${round + 1}/${plan.cpuRounds}  ${count(one.requestsPerSecond)}/s, ${count(two.requestsPerSecond)}/s`,
    );
  }
  for (const worker of [...single, ...double]) await worker.stop();
  return {
    one: median(rounds.map(({ one }) => one.requestsPerSecond)),
    two: median(rounds.map(({ two }) => two.requestsPerSecond)),
    ratio: median(rounds.map(({ one, two }) => two.requestsPerSecond / one.requestsPerSecond)),
    clientShare: median(rounds.map(({ two }) => two.clientShare)),
    serverShare: median(rounds.map(({ two }) => two.serverShare)),
  };
}

async function startWorkers(workers: number, database: BenchDatabase): Promise<Server[]> {
  const port = await freePort();
  const script = inRepository('tests/bench/servers/cpu-bound.ts');
  const env = { ENVIRONMENT: 'production', DATABASE_URL: database.url };
  const started: Server[] = [];
  for (const core of CORES.slice(0, workers)) {
    started.push(await startServer([process.execPath, script, String(port)], { core, env }));
  }
  return started;
}

/** Formats the result as a table. */
export function cpuBoundTable({ one, two, ratio, clientShare, serverShare }: CpuBoundResult): string {
  const row = [count(one), count(two), decimal(ratio), decimal(serverShare), decimal(clientShare)];
  return alignedTable(
    ['1 ms of CPU per request', 'one worker/s', 'two workers/s', 'ratio', 'workers', 'client'],
    [[`${CALLERS} callers`, ...row]],
  );
}
