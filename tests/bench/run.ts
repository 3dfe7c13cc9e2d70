import { parseArgs } from 'node:util';
import { installOha } from '../../infra/oha.ts';
import { conditionsText, readConditions, requireBenchMachine } from './conditions.ts';
import { benchEnvelope, envelopeTable } from './envelope.ts';
import { FULL_PLAN, QUICK_PLAN } from './plan.ts';
import { benchStart, startTable } from './start.ts';
import { undoAll, undoOnSignals } from './support/clean-up.ts';
import { startDatabase } from './support/database.ts';
import { progress } from './support/progress.ts';
import { writeReport } from './support/report.ts';
import { judge, type Results, targetsTable } from './targets.ts';
import { benchTransfers, transfersTable } from './transfers.ts';

const PARTS = ['envelope', 'transfers', 'start'] as const;
const USAGE = `Measures Atlas beside what it is compared with, all in one run, in turns.

  npm run bench -- [--quick] [--only ${PARTS.join('|')}]

  --quick   short rounds, to try the benchmark itself
  --only    one part; left out, all of them (about seven minutes)`;
const ENVELOPE_NOTE = `Server on core 0, oha with 64 connections on core 1. A round counts if the server's core was ≥ 95 % busy and the client's
< 90 %; the first ratios are medians over the rounds in which both sides count, if those are more than half of them. The last
two compare the time of the server's core for a request, which also tells when oha was the slower side.`;
const TRANSFERS_NOTE = `Atlas, its client and PostgreSQL share all cores, as pgbench and PostgreSQL do; nothing is pinned. The last three columns are
cores used. Each measurement begins with empty tables; after each, the ledger was verified and as many transfers were counted
as there were answers of 201. oha cannot send another Idempotency-Key with each request, so tests/bench/load/client.ts does.`;
const START_NOTE =
  'From `node infra/launch.mjs src/main.ts serve` (npm start) to the first 200 of GET /health/ready.';

async function bench(): Promise<void> {
  const { values } = parseArgs({
    options: { quick: { type: 'boolean' }, only: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help) return console.log(USAGE);
  if (values.only !== undefined && !PARTS.some((part) => part === values.only)) throw new Error(USAGE);
  const wants = (part: (typeof PARTS)[number]) => values.only === undefined || values.only === part;
  const plan = values.quick ? QUICK_PLAN : FULL_PLAN;
  requireBenchMachine();
  undoOnSignals();

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
  if (wants('start')) {
    results.start = await benchStart(plan);
    sections.push(`${startTable(results.start)}\n\n${START_NOTE}`);
  }

  const targets = judge(results);
  const told = { ...conditions, versions };
  const file = await writeReport('bench', { conditions: told, ...results, targets });
  console.log(
    `\n${[conditionsText(told), ...sections, targetsTable(targets)].join('\n\n')}\n\nWritten to ${file}`,
  );
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
