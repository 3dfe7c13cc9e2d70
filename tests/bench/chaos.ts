import { parseArgs } from 'node:util';
import { type ChaosResult, runChaos, VICTIMS } from '../e2e/relay-chaos.ts';
import { type Losses, NO_LOSSES } from '../e2e/relay-losses.ts';
import { availableEngines, stopTestDatabases } from '../support/database.ts';
import { isKafkaHere } from '../support/kafka.ts';
import { stopTestServices } from '../support/test-service.ts';
import { progress } from './support/progress.ts';
import { alignedTable, count, median } from './support/statistics.ts';

const KILLS_MAX = 10_000;
const USAGE = `Kills the relay, the API and the broker in turn under load, then looks for what was lost.

  npm run chaos -- [--kills N] [--callers N]

  --kills     how often something is killed, in turn: ${VICTIMS.join(', ')} (default 9)
  --callers   callers that post transfers all the while (default 4)`;
const LABELS: Readonly<Record<keyof Losses, string>> = {
  lost: 'transfers without both events in the topic',
  invented: 'events of transfers that do not exist',
  disordered: 'events out of order, or behind a gap',
  unlike: 'events in only one of topic and PostgreSQL',
  parked: 'keys that stopped',
  effectsMissing: 'effects that are missing',
  effectsDoubled: 'effects that were had twice',
};

async function chaos(): Promise<void> {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string', default: '9' },
      callers: { type: 'string', default: '4' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return console.log(USAGE);
  const kills = wholeNumber(values.kills);
  const callers = wholeNumber(values.callers);
  if (!isKafkaHere()) throw new Error('Kafka is not installed.\n  do:   npm run services -- install');
  progress(`starting PostgreSQL, Kafka and Atlas; then ${kills} kills`);
  const result = await runChaos({ kills, callers, engine: availableEngines().at(-1)!, tell: progress });
  console.log(`\n${killsTable(result)}\n\n${lossesTable(result)}\n`);
  const isWell =
    result.discrepancies === 0 && Object.keys(NO_LOSSES).every((loss) => result[loss as keyof Losses] === 0);
  console.log(
    isWell ? 'Nothing was lost, and nothing was doubled.' : 'SOMETHING WAS LOST OR DOUBLED: see above.',
  );
  if (!isWell) process.exitCode = 1;
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= KILLS_MAX) return value;
  throw new Error(USAGE);
}

function killsTable({ kills }: ChaosResult): string {
  const rows = VICTIMS.flatMap((victim) => {
    const times = kills.filter((kill) => kill.victim === victim).map(({ recoveryMs }) => recoveryMs);
    if (times.length === 0) return [];
    return [[victim, count(times.length), count(median(times)), count(Math.max(...times))]];
  });
  return alignedTable(['killed', 'times', 'sent again after (median ms)', 'at worst (ms)'], rows);
}

function lossesTable(result: ChaosResult): string {
  const losses = Object.entries(LABELS).map(([loss, label]) => [label, count(result[loss as keyof Losses])]);
  return alignedTable(
    ['found', ''],
    [
      ['transfers posted', count(result.transfers)],
      ['requests cut off and sent again', count(result.cutOff)],
      ['events sent twice (known by their id)', count(result.resent)],
      ['effects taken back with their transaction', count(result.handlerFailures)],
      ...losses,
      ['discrepancies of the ledger', count(result.discrepancies)],
    ],
  );
}

try {
  await chaos();
} finally {
  await stopTestServices();
  await stopTestDatabases();
}
