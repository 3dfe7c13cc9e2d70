import { openPostgres } from '../../src/adapters/postgres/postgres.ts';
import { readSqlFunctions } from '../../src/adapters/postgres/sql-functions.ts';
import { PLANTED_BUGS, plantBug } from '../contract/ledger/planted-bugs.ts';
import { type Proof, prove } from '../e2e/proof/prove.ts';
import { type Sabotaged, startSabotaged } from '../e2e/proof/sabotage.ts';
import { isPostgresHere } from '../support/postgres.ts';
import { undoAtEnd } from './support/clean-up.ts';
import { flag, positiveInteger, runBench } from './support/command.ts';
import { progress } from './support/progress.ts';
import { alignedTable, count } from './support/statistics.ts';

const AT_ONCE = 16;
const SHOWN_MAX = 5;
const PROGRESS_PROGRAMS = 100;
const PLANTED_AT_ONCE = 40;
const OPTIONS = {
  programs: positiveInteger(2000, 'random programs (default 2000)'),
  seed: positiveInteger(1, 'of the first program; each of the others has the next (default 1)'),
  calm: flag('kill nothing meanwhile'),
  planted: flag('plant one bug after the other in the SQL of the ledger, and expect programs to diverge'),
};

interface Values {
  readonly programs: number;
  readonly seed: number;
  readonly calm: boolean;
  readonly planted: boolean;
}

async function run(values: Values): Promise<void> {
  if (!isPostgresHere())
    throw new Error('PostgreSQL 15 is not installed.\n  do:   npm run services -- install');
  progress('starting PostgreSQL and Atlas');
  const atlas = await startSabotaged();
  undoAtEnd(() => atlas.end());
  const isProven = values.planted ? await findPlanted(atlas, values) : await proveAll(atlas, values);
  if (!isProven) process.exitCode = 1;
}

async function proveAll(atlas: Sabotaged, { programs, seed, calm }: Values): Promise<boolean> {
  const sabotage = calm ? null : atlas.sabotage();
  const onProgram = (done: number) => {
    if (done % PROGRESS_PROGRAMS === 0) progress(`${count(done)} of ${count(programs)} programs`);
  };
  // One that diverges runs again and again while it is made smaller.
  const proof = await prove(atlas, { programs, atOnce: AT_ONCE, seed, shrinks: true, onProgram });
  await sabotage?.stop();
  const verification = await atlas.call('GET', '/v1/ledger/verification');
  const { ok } = (await verification.json()) as { ok: boolean };
  console.log(`\n${tableOf(atlas, proof, ok)}`);
  for (const divergence of proof.divergences.slice(0, SHOWN_MAX)) console.log(`\n${divergence}`);
  return proof.divergences.length === 0 && ok;
}

function tableOf(
  atlas: Sabotaged,
  { programs, calls, refused, retried, divergences }: Proof,
  ok: boolean,
): string {
  return alignedTable(
    ['proof', 'count'],
    [
      ['programs', count(programs)],
      ['calls', count(calls)],
      ['refused by a rule of the ledger', count(refused)],
      ['attempts without a final response, retried', count(retried)],
      ...[...atlas.kills].map(([victim, kills]) => [`kills of ${victim}`, count(kills)]),
      ['programs that diverge from the model', count(divergences.length)],
      ['discrepancies in the ledger', ok ? 'none' : 'SOME'],
    ],
  );
}

async function findPlanted(atlas: Sabotaged, { programs, seed }: Values): Promise<boolean> {
  const sql = openPostgres({ url: atlas.databaseUrl, connectionsMax: 1, timeoutSeconds: 20 });
  const scripts = new Map((await readSqlFunctions()).map(({ name, script }) => [name, script]));
  const rows: string[][] = [];
  try {
    // A program has one organization.
    for (const bug of PLANTED_BUGS.filter(({ isBetweenOrganizations }) => !isBetweenOrganizations)) {
      await plantBug(sql, bug);
      let done = 0;
      let found = false;
      while (!found && done < programs) {
        const some = { programs: PLANTED_AT_ONCE, atOnce: AT_ONCE, seed: seed + done, shrinks: false };
        found = (await prove(atlas, some)).divergences.length > 0;
        done += PLANTED_AT_ONCE;
      }
      await sql.unsafe(scripts.get(bug.functionName)!);
      progress(`${bug.what}: ${found ? 'found' : 'NOT FOUND'} in ${done} programs`);
      rows.push([bug.what, found ? 'yes' : 'NO', count(done)]);
    }
  } finally {
    await sql.end({ timeout: 5 });
  }
  console.log(`\n${alignedTable(['planted bug', 'found', 'programs'], rows)}`);
  return rows.every(([, found]) => found === 'yes');
}

await runBench({
  name: 'prove',
  summary:
    'Runs random programs over HTTP against a model of the ledger, while workers, supervisor and PostgreSQL are killed.',
  options: OPTIONS,
  run,
});
