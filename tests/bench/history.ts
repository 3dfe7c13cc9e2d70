import { checkHistory } from '../e2e/proof/check-history.ts';
import { recordHistory } from '../e2e/proof/history.ts';
import { startSabotaged } from '../e2e/proof/sabotage.ts';
import { isPostgresHere } from '../support/postgres.ts';
import { undoAtEnd } from './support/clean-up.ts';
import { flag, positiveInteger, runBench, text } from './support/command.ts';
import { progress } from './support/progress.ts';
import { alignedTable, count } from './support/statistics.ts';

const SHOWN_MAX = 10;
const OPTIONS = {
  seconds: positiveInteger(60, 'how long clients call (default 60)'),
  clients: positiveInteger(8, 'clients, each with one call at a time (default 8)'),
  accounts: positiveInteger(4, 'accounts that all clients share (default 4)'),
  output: text(' FILE', 'where the history goes, as JSON lines (default .atlas/history.ndjson)'),
  calm: flag('kill nothing meanwhile'),
};

interface Values {
  readonly seconds: number;
  readonly clients: number;
  readonly accounts: number;
  readonly output: string | null;
  readonly calm: boolean;
}

async function history({ seconds, clients, accounts, output, calm }: Values): Promise<void> {
  if (!isPostgresHere())
    throw new Error('PostgreSQL 15 is not installed.\n  do:   npm run services -- install');
  progress('starting PostgreSQL and Atlas');
  const atlas = await startSabotaged();
  undoAtEnd(() => atlas.end());
  const file = output ?? '.atlas/history.ndjson';
  progress(
    `${clients} clients call for ${seconds} s${calm ? '' : ', while workers, supervisor and PostgreSQL are killed'}`,
  );
  const recorded = await recordHistory(atlas, { seconds, clients, accounts, file, kills: !calm });
  const { compared, lost, violations } = checkHistory(recorded);
  const ended = (type: string) => count(recorded.lines.filter((line) => line.type === type).length);
  const rows = [
    ['calls', ended('invoke')],
    ['took effect (ok)', ended('ok')],
    ['refused (fail)', ended('fail')],
    ['outcome unknown (info)', ended('info')],
    ...[...atlas.kills].map(([victim, kills]) => [`kills of ${victim}`, count(kills)]),
    ['transfers and reads put in order', count(compared)],
    ['acknowledged and lost', count(lost)],
    ['violations', count(violations.length)],
  ];
  console.log(`\n${alignedTable(['history', 'count'], rows)}\n\nWritten to ${file}.`);
  for (const violation of violations.slice(0, SHOWN_MAX)) console.log(`  ${violation}`);
  if (violations.length > 0) process.exitCode = 1;
}

await runBench({
  name: 'history',
  summary:
    'Records what concurrent clients see under faults, for a checker of linearizability, and checks it by versions.',
  options: OPTIONS,
  run: history,
});
