import { installOha } from '../../infra/oha.ts';
import { conditionsText, readConditions, requireBenchMachine } from './conditions.ts';
import { capacityText, measureCapacity } from './overload/capacity.ts';
import { CALLERS } from './overload/open-loop.ts';
import { FULL_OVERLOAD_PLAN, QUICK_OVERLOAD_PLAN } from './overload/plan.ts';
import { writePlots } from './overload/plots.ts';
import { measureSteps } from './overload/step.ts';
import { type Point, sweep } from './overload/sweep.ts';
import { evaluateOverload, stepTable, sweepTable } from './overload/tables.ts';
import { type Bottleneck, startVariant, type Variant, variants } from './overload/variants.ts';
import { flag, QUICK, runBench } from './support/command.ts';
import { type BenchDatabase, startDatabase } from './support/database.ts';
import type { Server } from './support/processes.ts';
import { progress } from './support/progress.ts';
import { writeReport } from './support/report.ts';
import { targetsTable } from './targets.ts';

const OPTIONS = {
  quick: QUICK,
  plots: flag('draw docs/plots/overload-*.svg from this run'),
};
const NOTE = `Open loop: three oha processes at fixed rates (10 % critical, 60 % default, 30 % non-critical) with ${CALLERS.toLocaleString('en-US')} callers in all.
Latency counts from when a request was due. Good: 2xx within 200 ms. The first second of each run is excluded (see the
step). A request that was due and got no response counts as failed. P50 and P99 are over 2xx responses. Server on core 0,
all clients on core 1, PostgreSQL on both; the last three columns are cores used. The variants differ only in the limit.`;
const STEP_NOTE = `Settled: from then on, every window of 200 ms (in steps of 50 ms, by due time) has a P99 of at most twice that at 0.8 ×,
and a goodput of at least 0.9 × capacity. 0 means that the step left no trace.`;

async function bench({ quick, plots }: { readonly quick: boolean; readonly plots: boolean }): Promise<void> {
  const plan = quick ? QUICK_OVERLOAD_PLAN : FULL_OVERLOAD_PLAN;
  requireBenchMachine();
  const conditions = readConditions(plan);
  const oha = await installOha(progress);
  const database = await startDatabase();

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

  const results = {
    database: points,
    slots,
    slotsCapacityPerSecond: slotsCapacity.perSecond,
    steps,
  };
  const targets = evaluateOverload(results);
  const file = await writeReport('overload', {
    conditions,
    capacity,
    slotsCapacity,
    ...results,
    targets,
  });
  const sections = [
    conditionsText(conditions),
    `Capacity of the database route: ${capacityText(capacity)}\nCapacity of the 20 slots: ${capacityText(slotsCapacity)}`,
    sweepTable('20 connections', points, capacityPerSecond),
    sweepTable('20 slots of 20 ms', slots, slotsCapacity.perSecond),
    NOTE,
    `${stepTable(steps)}\n\n${STEP_NOTE}`,
    targetsTable(targets),
    `Written to ${file}`,
  ];
  if (plots) {
    const paths = await writePlots({
      database: points,
      databaseCapacity: capacityPerSecond,
      slots,
      slotsCapacity: slotsCapacity.perSecond,
      steps,
      conditions: `${conditions.date.slice(0, 10)}, ${conditions.cores} cores`,
    });
    sections.push(`Plots: ${paths.join(', ')}`);
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

await runBench({
  name: 'bench:overload',
  summary:
    'Offers more load than can be served: compares Atlas with a fixed limit and with no shedding, interleaved in one run.\nTakes about ten minutes, or two with --quick.',
  options: OPTIONS,
  run: bench,
});
