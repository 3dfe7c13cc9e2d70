import { installOha } from '../../infra/oha.ts';
import { conditionsText, readConditions, requireBenchMachine } from './conditions.ts';
import { benchEnvelope, envelopeTable } from './envelope.ts';
import { FULL_PLAN, QUICK_PLAN } from './plan.ts';
import { measureOverload } from './saturation/overload.ts';
import { FULL_SATURATION_PLAN, QUICK_SATURATION_PLAN } from './saturation/plan.ts';
import { refusedMicrosOf } from './saturation/refusal.ts';
import { startOnOneCore } from './saturation/setup.ts';
import { overloadTable } from './saturation/table.ts';
import { benchStart, startTable } from './start.ts';
import { undoAll } from './support/clean-up.ts';
import { choice, QUICK, runBench } from './support/command.ts';
import { startDatabase } from './support/database.ts';
import { progress } from './support/progress.ts';
import { writeReport } from './support/report.ts';
import { evaluate, type Results, targetsTable } from './targets.ts';
import { benchTransfers, transfersTable } from './transfers.ts';

const PARTS = ['envelope', 'overload-payments', 'transfers', 'start'] as const;
type Part = (typeof PARTS)[number];
const OPTIONS = {
  quick: QUICK,
  only: choice(PARTS, 'one part; all by default (about seven minutes)'),
};
const ENVELOPE_NOTE = `Server on core 0, oha with 64 connections on core 1. A round counts if the server's core is ≥ 95 % busy and the client's
< 90 %. The first two ratios are medians over the rounds in which both sides count, provided that is more than half. The
last two compare server CPU time per request, which is valid even if oha is the bottleneck.`;
const TRANSFERS_NOTE = `Atlas, its client and PostgreSQL share all cores, as do pgbench and PostgreSQL; nothing is pinned. The last three columns
are cores used. Each measurement starts with empty tables. After each, the ledger is verified, and the number of transfers
must equal the number of 201 responses. oha cannot vary the Idempotency-Key, so tests/bench/load/client.ts is the client.`;
const START_NOTE =
  'From `node infra/launch.mjs src/main.ts serve` (npm start) to the first 200 from GET /health/ready.';

async function bench({
  quick,
  only,
}: {
  readonly quick: boolean;
  readonly only: Part | null;
}): Promise<void> {
  const wants = (part: Part) => only === null || only === part;
  const plan = quick ? QUICK_PLAN : FULL_PLAN;
  requireBenchMachine();

  const conditions = readConditions(plan);
  const results: { -readonly [Part in keyof Results]: Results[Part] } = {};
  const sections: string[] = [];
  const versions: Record<string, string> = { ...conditions.versions };
  if (wants('envelope') || wants('transfers')) {
    const oha = wants('envelope') ? await installOha(progress) : '';
    const database = await startDatabase();
    versions.postgresql = database.version;
    if (wants('envelope')) {
      results.envelope = await benchEnvelope(plan, oha, database);
      sections.push(`${envelopeTable(results.envelope)}\n\n${ENVELOPE_NOTE}`);
    }
    if (wants('transfers')) {
      results.transfers = await benchTransfers(plan, database);
      sections.push(`${transfersTable(results.transfers)}\n\n${TRANSFERS_NOTE}`);
    }
    await undoAll();
  }
  if (wants('overload-payments')) {
    const saturation = quick ? QUICK_SATURATION_PLAN : FULL_SATURATION_PLAN;
    const one = await startOnOneCore();
    versions.postgresql = one.database.version;
    const payments = await measureOverload(one, {
      name: 'payments',
      streams: [{ name: 'payments', kind: 'transfer', share: 1 }],
      plan: saturation,
      refusedMicros: await refusedMicrosOf(one, 'transfer', saturation.peakSeconds),
    });
    results.payments = payments;
    sections.push(overloadTable(payments));
    await undoAll();
  }
  if (wants('start')) {
    results.start = await benchStart(plan);
    sections.push(`${startTable(results.start)}\n\n${START_NOTE}`);
  }

  const targets = evaluate(results);
  const reported = { ...conditions, versions };
  const file = await writeReport('bench', { conditions: reported, ...results, targets });
  console.log(
    `\n${[conditionsText(reported), ...sections, targetsTable(targets)].join('\n\n')}\n\nWritten to ${file}`,
  );
}

await runBench({
  name: 'bench',
  summary: 'Compares Atlas with alternatives, interleaved in one run.',
  options: OPTIONS,
  run: bench,
});
