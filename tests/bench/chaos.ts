import { type ChaosResult, runChaos, VICTIMS } from '../e2e/relay-chaos.ts';
import { type Losses, NO_LOSSES } from '../e2e/relay-losses.ts';
import { availableEngines, stopTestDatabases } from '../support/database.ts';
import { isKafkaHere } from '../support/kafka.ts';
import { stopTestServices } from '../support/test-service.ts';
import { undoAtEnd } from './support/clean-up.ts';
import { positiveInteger, runBench } from './support/command.ts';
import { progress } from './support/progress.ts';
import { alignedTable, count, median } from './support/statistics.ts';

const OPTIONS = {
  kills: positiveInteger(9, `kills in total, in turn: ${VICTIMS.join(', ')} (default 9)`),
  callers: positiveInteger(4, 'callers that post transfers meanwhile (default 4)'),
};
const LABELS: Readonly<Record<keyof Losses, string>> = {
  lost: 'transfers without both events in the topic',
  invented: 'events of transfers that do not exist',
  disordered: 'events out of order or after a gap',
  mismatched: 'events only in the topic or only in PostgreSQL',
  parked: 'parked keys',
  effectsMissing: 'effects missing',
  effectsDoubled: 'effects applied twice',
};

async function chaos({
  kills,
  callers,
}: {
  readonly kills: number;
  readonly callers: number;
}): Promise<void> {
  if (!isKafkaHere()) throw new Error('Kafka is not installed.\n  do:   npm run services -- install');
  undoAtEnd(stopTestDatabases);
  undoAtEnd(stopTestServices);
  progress(`starting PostgreSQL, Kafka and Atlas; then ${kills} kills`);
  const result = await runChaos({ kills, callers, engine: availableEngines().at(-1)!, report: progress });
  console.log(`\n${killsTable(result)}\n\n${lossesTable(result)}\n`);
  const isIntact =
    result.discrepancies === 0 && Object.keys(NO_LOSSES).every((loss) => result[loss as keyof Losses] === 0);
  console.log(
    isIntact ? 'Nothing was lost or duplicated.' : 'EVENTS WERE LOST OR DUPLICATED: see the table above.',
  );
  if (!isIntact) process.exitCode = 1;
}

function killsTable({ kills }: ChaosResult): string {
  const rows = VICTIMS.flatMap((victim) => {
    const times = kills.filter((kill) => kill.victim === victim).map(({ recoveryMs }) => recoveryMs);
    if (times.length === 0) return [];
    return [[victim, count(times.length), count(median(times)), count(Math.max(...times))]];
  });
  return alignedTable(['killed', 'times', 'recovery, median ms', 'recovery, max ms'], rows);
}

function lossesTable(result: ChaosResult): string {
  const losses = Object.entries(LABELS).map(([loss, label]) => [label, count(result[loss as keyof Losses])]);
  return alignedTable(
    ['found', 'count'],
    [
      ['transfers posted', count(result.transfers)],
      ['requests cut off and retried', count(result.cutOff)],
      ['events sent twice (same id)', count(result.resent)],
      ['effects rolled back', count(result.handlerFailures)],
      ...losses,
      ['ledger discrepancies', count(result.discrepancies)],
    ],
  );
}

await runBench({
  name: 'chaos',
  summary: 'Kills the relay, the API and the broker in turn under load, then checks that nothing was lost.',
  options: OPTIONS,
  run: chaos,
});
