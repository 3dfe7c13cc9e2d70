import { readSamples } from '../overload/samples.ts';
import { PING_PATH } from '../servers/ping-app.ts';
import { cpuSeconds, familyCpuSeconds, familyMebibytes, shareOfCore } from '../support/cpu.ts';
import type { BenchDatabase } from '../support/database.ts';
import { start } from '../support/processes.ts';
import { progress } from '../support/progress.ts';
import { alignedTable, count, decimal, percentile } from '../support/statistics.ts';
import { startAtlas } from './atlas.ts';
import type { ClusterPlan } from './plan.ts';

const RATE_PER_SECOND = 3000;
const CALLERS = [1000, 6000] as const;
const WORKERS = [2, 8] as const;
// By then every caller has connected: 6,000 of them, at 3,000 per second.
const CONNECTED_MS = 3000;
const OK = 200;

/** What connected callers saw at a steady rate, and what the cluster needed for them. */
export interface CallersResult {
  readonly callers: number;
  readonly workers: number;
  readonly perSecond: number;
  /** 200 responses ÷ requests due. */
  readonly success: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  /** Supervisor and workers together, before the callers connected and with all of them connected. */
  readonly idleMebibytes: number;
  readonly mebibytes: number;
  readonly clusterShare: number;
  readonly clientShare: number;
}

/** Measures `GET /v1/ping` with a key, through `atlas serve`, at 3,000 requests per second over all callers. */
export async function measureCallers(
  plan: ClusterPlan,
  oha: string,
  database: BenchDatabase,
): Promise<CallersResult[]> {
  const results: CallersResult[] = [];
  for (const workers of WORKERS) {
    const atlas = await startAtlas(workers, database);
    const idleMebibytes = familyMebibytes(atlas.pid);
    for (const callers of CALLERS) {
      const seconds = plan.callersSeconds;
      const options = ['--no-tui', '--output-format', 'csv', '--worker-threads', '1', '--latency-correction'];
      const rate = ['-q', String(RATE_PER_SECOND), '-z', `${seconds}s`, '-c', String(callers)];
      const key = ['-H', `Authorization: Bearer ${database.apiKey}`];
      const client = start([oha, ...options, ...rate, ...key, atlas.url + PING_PATH]);
      const memory = Bun.sleep(CONNECTED_MS + (seconds * 1000 - CONNECTED_MS) / 2).then(() =>
        familyMebibytes(atlas.pid),
      );
      const shares = shareOfCore(seconds * 1000, {
        cluster: () => familyCpuSeconds(atlas.pid),
        client: () => cpuSeconds(client.pid),
      });
      const [text, mebibytes, share] = await Promise.all([client.output, memory, shares]);
      const untilMs = seconds * 1000 - 500;
      const due = readSamples(text).filter(({ dueMs }) => dueMs >= CONNECTED_MS && dueMs < untilMs);
      const lengthSeconds = (untilMs - CONNECTED_MS) / 1000;
      const served = due.filter(({ status }) => status === OK).map(({ durationMs }) => durationMs);
      results.push({
        callers,
        workers,
        perSecond: served.length / lengthSeconds,
        success: served.length / Math.max(due.length, Math.floor(RATE_PER_SECOND * lengthSeconds)),
        p50Ms: percentile(served, 0.5),
        p95Ms: percentile(served, 0.95),
        p99Ms: percentile(served, 0.99),
        idleMebibytes,
        mebibytes,
        clusterShare: share.cluster,
        clientShare: share.client,
      });
      const { p50Ms, p95Ms } = results.at(-1)!;
      progress(
        `callers: ${workers} workers, ${count(callers)} callers  P50 ${decimal(p50Ms, 1)} ms, P95 ${decimal(p95Ms, 1)} ms`,
      );
    }
    await atlas.stop();
  }
  return results;
}

/** Formats the result as a table. */
export function callersTable(results: readonly CallersResult[]): string {
  const rows = results.map((result) => [
    `${result.workers} workers, ${count(result.callers)} callers`,
    count(result.perSecond),
    `${(result.success * 100).toFixed(1)} %`,
    decimal(result.p50Ms, 1),
    decimal(result.p95Ms, 1),
    decimal(result.p99Ms, 1),
    `${count(result.idleMebibytes)} MiB`,
    `${count(result.mebibytes)} MiB`,
    decimal(result.clusterShare),
    decimal(result.clientShare),
  ]);
  const head = ['GET /v1/ping at 3,000/s', 'responses/s', 'success', 'P50 ms', 'P95 ms', 'P99 ms'];
  return alignedTable([...head, 'idle memory', 'memory', 'cluster', 'client'], rows);
}
