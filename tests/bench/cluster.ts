import { installOha } from '../../infra/oha.ts';
import { callersTable, measureCallers } from './cluster/callers.ts';
import { cpuBoundTable, measureCpuBound } from './cluster/cpu-bound.ts';
import { leasesTable, measureLeases } from './cluster/leases.ts';
import { FULL_CLUSTER_PLAN, QUICK_CLUSTER_PLAN } from './cluster/plan.ts';
import { type ClusterResults, evaluateCluster } from './cluster/targets.ts';
import { conditionsText, readConditions, requireBenchMachine } from './conditions.ts';
import type { DecisionReport } from './load/decisions.ts';
import { choice, QUICK, runBench } from './support/command.ts';
import { startDatabase } from './support/database.ts';
import { inRepository, start } from './support/processes.ts';
import { progress } from './support/progress.ts';
import { startRedis } from './support/redis.ts';
import { writeReport } from './support/report.ts';
import { alignedTable, decimal } from './support/statistics.ts';
import { targetsTable } from './targets.ts';

const PARTS = ['permits', 'decision', 'workers', 'callers'] as const;
type Part = (typeof PARTS)[number];
const NEED_OHA: readonly Part[] = ['workers', 'callers'];
const OPTIONS = {
  quick: QUICK,
  only: choice(PARTS, 'one part; all by default (about three minutes)'),
};
const NOTES = {
  permits: `Worker processes run the real admission control over a real Redis. Their requests are synthetic, and hold a permit for 0.5
to 1.5 × 50 ms. Commands are as counted by Redis; a script counts as one.`,
  workers: `Each worker has a core, and the client shares both: the ratio cannot exceed two minus the client's share.`,
  callers: `oha with one connection per caller. The first three seconds, in which the callers connect, are excluded. Cluster and client
share all cores; their columns are cores used. Memory is that of the supervisor and its workers (Pss).`,
} as const;

async function bench({
  quick,
  only,
}: {
  readonly quick: boolean;
  readonly only: Part | null;
}): Promise<void> {
  const wants = (part: Part) => only === null || only === part;
  const plan = quick ? QUICK_CLUSTER_PLAN : FULL_CLUSTER_PLAN;
  requireBenchMachine();
  const conditions = readConditions(plan);
  const oha = NEED_OHA.some(wants) ? await installOha(progress) : '';
  const database = await startDatabase();
  const redis = await startRedis();
  const results: { -readonly [Part in keyof ClusterResults]: ClusterResults[Part] } = {};
  const sections: string[] = [conditionsText(conditions)];

  if (wants('permits')) {
    results.permits = await measureLeases(plan, redis);
    sections.push(`${leasesTable(results.permits)}\n\n${NOTES.permits}`);
  }
  if (wants('decision')) {
    results.decision = await measureDecision();
    sections.push(decisionTable(results.decision));
  }
  if (wants('workers')) {
    results.workers = await measureCpuBound(plan, oha, database);
    sections.push(`${cpuBoundTable(results.workers)}\n\n${NOTES.workers}`);
  }
  if (wants('callers')) {
    results.callers = await measureCallers(plan, oha, database);
    sections.push(`${callersTable(results.callers)}\n\n${NOTES.callers}`);
  }
  const targets = evaluateCluster(results);
  const file = await writeReport('cluster', { conditions, ...results, targets });
  console.log(`\n${[...sections, targetsTable(targets), `Written to ${file}`].join('\n\n')}`);
}

/** Measures in a separate process, so that no other code has influenced the compiler. */
async function measureDecision(): Promise<DecisionReport> {
  progress('decision: three million of each kind');
  const { output } = start([process.execPath, inRepository('tests/bench/load/decisions.ts')]);
  return JSON.parse(await output) as DecisionReport;
}

function decisionTable({ admitNanos, pressedNanos, refuseNanos }: DecisionReport): string {
  const row = [admitNanos, pressedNanos, refuseNanos].map((nanos) => decimal(nanos, 0));
  const head = ['admission decision', 'admitted ns', 'admitted under pressure ns', 'refused ns'];
  return alignedTable(head, [['in process', ...row]]);
}

await runBench({
  name: 'bench:cluster',
  summary: 'Measures what the workers of a cluster share, and what sharing costs.',
  options: OPTIONS,
  run: bench,
});
