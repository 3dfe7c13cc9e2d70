import { parseArgs } from 'node:util';
import { installOha } from '../../infra/oha.ts';
import { leasesTable, measureLeases } from './cluster/leases.ts';
import { judgeLeases } from './cluster/targets.ts';
import { conditionsText, readConditions, requireBenchMachine } from './conditions.ts';
import { capacityText, measureCapacity } from './overload/capacity.ts';
import { CALLERS } from './overload/open-loop.ts';
import { FULL_OVERLOAD_PLAN, QUICK_OVERLOAD_PLAN } from './overload/plan.ts';
import { writePlots } from './overload/plots.ts';
import { measureRefusalCost } from './overload/refusal-cost.ts';
import { measureSteps } from './overload/step.ts';
import { type Point, sweep } from './overload/sweep.ts';
import { judgeOverload, refusalTable, stepTable, sweepTable } from './overload/tables.ts';
import { type Bottleneck, startVariant, type Variant, variants } from './overload/variants.ts';
import { undoAll, undoOnSignals } from './support/clean-up.ts';
import { type BenchDatabase, startDatabase } from './support/database.ts';
import type { Server } from './support/processes.ts';
import { progress } from './support/progress.ts';
import { startRedis } from './support/redis.ts';
import { writeReport } from './support/report.ts';
import { targetsTable } from './targets.ts';

const USAGE = `Offers more than can be served: Atlas beside no shedding and a fixed limit, all in one run, in turns.

  npm run bench:overload -- [--quick] [--plots]

  --quick   short runs, to try the benchmark itself (about two minutes; else about ten)
  --plots   draw docs/plots/overload-*.svg from this run`;
const NOTE = `Open loop: three oha at fixed rates (10 % critical, 60 % default, 30 % non-critical) with ${CALLERS.toLocaleString('en-US')} callers in all; latency
counts from when a request was due. Good: 2xx within 200 ms. The first second of each run is left out (see the step); a
request that was due and never answered counts as failed. P50 and P99 are of answers of 2xx. Server on core 0, all clients on
core 1, PostgreSQL on both; the last three columns are cores used. The variants differ in nothing but the limit.`;
const STEP_NOTE = `Settled: from then on every 200 ms (in steps of 50 ms, by when requests were due) keep P99 ≤ twice that at 0.8 × and
goodput ≥ 0.9 of the capacity. 0 means that nothing was seen of the step.`;

const PERMITS_NOTE = `Worker processes with the real admission over a real Redis; requests are made up inside them and hold a permit for 0.5 to
1.5 times their mean. Commands are those that Redis counted; what a script does inside is one of them.`;

async function bench(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean' },
      plots: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return console.log(USAGE);
  const plan = values.quick ? QUICK_OVERLOAD_PLAN : FULL_OVERLOAD_PLAN;
  requireBenchMachine();
  undoOnSignals();
  const conditions = readConditions(plan);
  const oha = await installOha(progress);
  const database = await startDatabase();
  const told = { ...conditions, versions: { ...conditions.versions, postgresql: database.version } };

  const common = { oha, database, seconds: plan.seconds };
  const servers = await startVariants('database', database);
  const capacity = await measureCapacity(oha, servers.none, database, plan.capacitySeconds);
  const capacityPerSecond = capacity.perSecond;
  const base = { ...common, servers, capacityPerSecond };
  const points = await sweep({ ...base, name: 'database', loads: plan.databaseLoads, rounds: plan.rounds });
  const p99Ms = p99AtFirstLoad(points);
  const steps = await measureSteps({ ...base, seconds: plan.stepSeconds, repetitions: plan.steps, p99Ms });
  await stopAll(servers);

  const hidden = await startVariants('slots', database);
  const slotsCapacity = await measureCapacity(oha, hidden.none, database, plan.capacitySeconds);
  const slots = await sweep({
    ...common,
    servers: hidden,
    capacityPerSecond: slotsCapacity.perSecond,
    name: 'slots',
    loads: plan.slotsLoads,
    rounds: plan.slotsRounds,
  });
  await stopAll(hidden);
  const refusal = await measureRefusalCost(oha, database, plan);
  const { demandSeconds } = plan;
  const permits = await measureLeases({ demandSeconds, deaths: 0 }, await startRedis());

  const results = {
    database: points,
    slots,
    slotsCapacityPerSecond: slotsCapacity.perSecond,
    steps,
    refusal,
  };
  const targets = [...judgeOverload(results), ...judgeLeases(permits)];
  const file = await writeReport('overload', {
    conditions: told,
    capacity,
    slotsCapacity,
    ...results,
    permits,
    targets,
  });
  const sections = [
    conditionsText(told),
    `Capacity of the database route: ${capacityText(capacity)}\nCapacity of the 20 slots: ${capacityText(slotsCapacity)}`,
    sweepTable('20 connections', points, capacityPerSecond),
    sweepTable('20 slots of 20 ms', slots, slotsCapacity.perSecond),
    NOTE,
    `${stepTable(steps)}\n\n${STEP_NOTE}`,
    refusalTable(refusal),
    `${leasesTable(permits)}\n\n${PERMITS_NOTE}`,
    targetsTable(targets),
    `Written to ${file}`,
  ];
  if (values.plots) {
    const plots = await writePlots({
      database: points,
      databaseCapacity: capacityPerSecond,
      slots,
      slotsCapacity: slotsCapacity.perSecond,
      steps,
      conditions: `${told.date.slice(0, 10)}, ${told.cores} cores`,
    });
    sections.push(`Drawn: ${plots.join(', ')}`);
  }
  console.log(`\n${sections.join('\n\n')}`);
}

async function startVariants(
  bottleneck: Bottleneck,
  database: BenchDatabase,
): Promise<Record<Variant, Server>> {
  const servers = {} as Record<Variant, Server>;
  for (const variant of variants) servers[variant] = await startVariant(variant, bottleneck, database);
  return servers;
}

async function stopAll(servers: Readonly<Record<Variant, Server>>): Promise<void> {
  for (const server of Object.values(servers)) await server.stop();
}

function p99AtFirstLoad(points: readonly Point[]): Record<Variant, number> {
  const at = (variant: Variant) => points.find((point) => point.variant === variant)!.p99Ms;
  return { none: at('none'), fixed: at('fixed'), atlas: at('atlas') };
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
