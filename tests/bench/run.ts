import { installOha } from '../../infra/oha.ts';
import { compare } from './compare.ts';
import { conditionsText, readConditions, requireBenchMachine } from './conditions.ts';
import type { BenchRun, Part } from './part.ts';
import { PARTS, type PartName, partNames } from './parts.ts';
import { FULL_PLAN, QUICK_PLAN } from './plan.ts';
import type { BenchReport } from './report.ts';
import { undoAll } from './support/clean-up.ts';
import { choice, QUICK, runBench, text } from './support/command.ts';
import { progress } from './support/progress.ts';
import { writeReport } from './support/report.ts';
import { type Target, targetsTable } from './targets.ts';

const OPTIONS = {
  quick: QUICK,
  only: choice(partNames, 'one part; all by default (about half an hour)'),
  compare: text(' REVISION', 'instead, run the servers of a revision and of this tree in the same rounds'),
};

async function bench({
  quick,
  only,
  compare: revision,
}: {
  readonly quick: boolean;
  readonly only: PartName | null;
  readonly compare: string | null;
}): Promise<void> {
  requireBenchMachine();
  const plan = quick ? QUICK_PLAN : FULL_PLAN;
  if (revision !== null) return compare(revision, plan, only);
  const conditions = readConditions(plan);
  const run: BenchRun = { plan, oha: () => installOha(progress) };
  const parts: Partial<Record<PartName, unknown>> = {};
  const sections: string[] = [];
  const targets: Target[] = [];
  for (const name of only === null ? partNames : [only]) {
    const part = PARTS[name] as Part<unknown>;
    try {
      const result = await part.measure(run);
      parts[name] = result;
      sections.push([part.title, ...part.tables(result), part.note].join('\n\n'));
      targets.push(...part.targets(result));
    } catch (error) {
      // The other parts are still worth having.
      process.exitCode = 1;
      sections.push(`${part.title}\n\nThis part failed: ${error instanceof Error ? error.message : error}`);
      progress(`${name} failed: ${error}`);
    } finally {
      await undoAll();
    }
  }
  const report: BenchReport = { conditions, parts, targets };
  const file = await writeReport('bench', report);
  console.log(
    `\n${[conditionsText(conditions), ...sections, targetsTable(targets)].join('\n\n')}\n\nWritten to ${file}`,
  );
}

await runBench({
  name: 'bench',
  summary: 'Compares Atlas with alternatives, interleaved in one run.',
  options: OPTIONS,
  run: bench,
});
