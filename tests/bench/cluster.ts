import { parseArgs } from 'node:util';
import { installOha } from '../../infra/oha.ts';
import { callersTable, measureCallers } from './cluster/callers.ts';
import { cpuBoundTable, measureCpuBound } from './cluster/cpu-bound.ts';
import { hotAccountsTable, measureHotAccounts } from './cluster/hot-accounts.ts';
import { leasesTable, measureLeases } from './cluster/leases.ts';
import { FULL_CLUSTER_PLAN, QUICK_CLUSTER_PLAN } from './cluster/plan.ts';
import { type ClusterResults, judgeCluster } from './cluster/targets.ts';
import { conditionsText, readConditions, requireBenchMachine } from './conditions.ts';
import { benchEnvelope, envelopeTable } from './envelope.ts';
import type { DecisionReport } from './load/decisions.ts';
import { measureRefusalCost } from './overload/refusal-cost.ts';
import { refusalTable } from './overload/tables.ts';
import { undoAll, undoOnSignals } from './support/clean-up.ts';
import { startDatabase } from './support/database.ts';
import { inRepository, start } from './support/processes.ts';
import { progress } from './support/progress.ts';
import { startRedis } from './support/redis.ts';
import { writeReport } from './support/report.ts';
import { alignedTable, decimal } from './support/statistics.ts';
import { targetsTable } from './targets.ts';

const PARTS = ['permits', 'decision', 'refusal', 'envelope', 'accounts', 'workers', 'callers'] as const;
const USAGE = `Measures what the workers of a cluster share and what that costs.

  npm run bench:cluster -- [--quick] [--only ${PARTS.join('|')}]

  --quick   short rounds, to try the benchmark itself
  --only    one part; left out, all of them (about ten minutes)`;
const NOTES = {
  permits: `Worker processes with the real admission over a real Redis; requests are made up inside them and hold a permit for 0.5 to 1.5
times 50 ms. Commands are those that Redis counted; what a script does inside is one of them.`,
  envelope: 'As `npm run bench`, with permits shared over Redis in every variant that has them.',
  workers: `Every worker has a core and the client shares them, so two cores less what the client takes bound the ratio.`,
  callers: `oha with one connection for each caller; the first three seconds, in which they connect, are left out. Cluster and client share
all cores; their columns are cores used. Memory is that of the supervisor and its workers (Pss).`,
} as const;

async function bench(): Promise<void> {
  const { values } = parseArgs({
    options: { quick: { type: 'boolean' }, only: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help) return console.log(USAGE);
  if (values.only !== undefined && !PARTS.some((part) => part === values.only)) throw new Error(USAGE);
  const wants = (part: (typeof PARTS)[number]) => values.only === undefined || values.only === part;
  const plan = values.quick ? QUICK_CLUSTER_PLAN : FULL_CLUSTER_PLAN;
  requireBenchMachine();
  undoOnSignals();
  const conditions = readConditions(plan);
  const oha = await installOha(progress);
  const database = await startDatabase();
  const redis = await startRedis();
  const told = { ...conditions, versions: { ...conditions.versions, postgresql: database.version } };
  const results: { -readonly [Part in keyof ClusterResults]: ClusterResults[Part] } = {};
  const sections: string[] = [conditionsText(told)];

  if (wants('permits')) {
    results.permits = await measureLeases(plan, redis);
    sections.push(`${leasesTable(results.permits)}\n\n${NOTES.permits}`);
  }
  if (wants('decision')) {
    results.decision = await measureDecision();
    sections.push(decisionTable(results.decision));
  }
  if (wants('refusal')) {
    results.refusal = await measureRefusalCost(oha, database, plan);
    sections.push(refusalTable(results.refusal));
  }
  if (wants('envelope')) {
    results.envelope = await benchEnvelope(plan.envelope, oha, database, { REDIS_URL: redis.url });
    sections.push(`${envelopeTable(results.envelope)}\n\n${NOTES.envelope}`);
  }
  if (wants('accounts')) {
    results.accounts = await measureHotAccounts(plan, database);
    sections.push(hotAccountsTable(results.accounts));
  }
  if (wants('workers')) {
    results.workers = await measureCpuBound(plan, oha, database);
    sections.push(`${cpuBoundTable(results.workers)}\n\n${NOTES.workers}`);
  }
  if (wants('callers')) {
    results.callers = await measureCallers(plan, oha, database);
    sections.push(`${callersTable(results.callers)}\n\n${NOTES.callers}`);
  }
  const targets = judgeCluster(results);
  const file = await writeReport('cluster', { conditions: told, ...results, targets });
  console.log(`\n${[...sections, targetsTable(targets), `Written to ${file}`].join('\n\n')}`);
}

/** Runs the decision in a process of its own, so that nothing else has shaped what the compiler makes of it. */
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

try {
  await bench();
} catch (error) {
  console.error(`\n${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
} finally {
  await undoAll();
}
process.exit();
