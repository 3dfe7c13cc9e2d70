import type { DecisionReport } from '../load/decisions.ts';
import { atLeast, atMost, type Target } from '../targets.ts';
import type { CallersResult } from './callers.ts';
import type { CpuBoundResult } from './cpu-bound.ts';
import type { LeasesResult } from './leases.ts';

/** The results of a run, by part. A part that was not measured is missing. */
export interface ClusterResults {
  readonly permits?: LeasesResult;
  readonly decision?: DecisionReport;
  readonly workers?: CpuBoundResult;
  readonly callers?: readonly CallersResult[];
}

const TTL_MS = 1000;
// What the FastAPI original of Atlas claims at 3,000 requests per second on eight workers.
const ORIGINAL_P50_MS = 20;
const ORIGINAL_P95_MS = 50;

/** Compares the results with the targets. A part that was not measured has no targets. */
export function evaluateCluster(results: ClusterResults): Target[] {
  const { permits, decision, workers, callers } = results;
  const found: Target[] = [];
  if (permits) found.push(...evaluateLeases(permits));
  if (decision) {
    const slowest = Math.max(...Object.values<number>({ ...decision }));
    found.push(atMost('admission decision in process', slowest / 1000, 1, 'µs'));
  }
  if (workers) found.push(atLeast('two workers ÷ one, a CPU-bound route', workers.ratio, 1.7));
  for (const { callers: count, workers: width, p50Ms, p95Ms } of callers ?? []) {
    const who = `${count.toLocaleString('en-US')} callers, ${width} workers`;
    found.push(atMost(`P50 of ${who} (the original's claim)`, p50Ms, ORIGINAL_P50_MS, 'ms', 1));
    found.push(atMost(`P95 of ${who} (the original's claim)`, p95Ms, ORIGINAL_P95_MS, 'ms', 1));
  }
  return found;
}

/** Compares the sharing of permits with its targets. */
function evaluateLeases({ demands, backMs }: LeasesResult): Target[] {
  const found: Target[] = [];
  for (const { name, use } of demands)
    if (use !== null) found.push(atLeast(`use of the cap, ${name}`, use, 0.95));
  const most = Math.max(...demands.map(({ commandsPerSecondAndWorker }) => commandsPerSecondAndWorker));
  found.push(atMost('Redis commands for permits, per second and worker', most, 20, '', 1));
  if (backMs.length > 0)
    found.push(atMost('permits of a dead worker reclaimed', Math.max(...backMs), TTL_MS, 'ms', 0));
  return found;
}
