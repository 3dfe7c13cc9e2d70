import { POSTGRES_BIN } from '../../infra/native-postgres.ts';
import { runLoad } from './load/run-load.ts';
import { definePart } from './part.ts';
import type { Rounds } from './plan.ts';
import { type OneCore, startOnOneCore } from './saturation/setup.ts';
import { checkOut } from './support/checkout.ts';
import { CLIENT_CORE, clientCoreText, SERVER_CORE } from './support/oha.ts';
import { start } from './support/processes.ts';
import { progress } from './support/progress.ts';
import { alignedTable, count, decimal, median, percent } from './support/statistics.ts';
import { atLeast } from './targets.ts';

const CALLERS = 64;
const ACCOUNTS = 10_000;
const WARM_UP_SECONDS = 1;
const FIRST_WARM_UP_SECONDS = 2;
/** The last revision in which every read was a query of its own. */
const REVISION_BEFORE = 'e2af6a8';

const WAYS = {
  atlas: 'GET /v1/accounts/{id}',
  before: `the same at ${REVISION_BEFORE}`,
  pgbench: 'pgbench -S -M prepared',
} as const;
type Way = keyof typeof WAYS;
const ways = Object.keys(WAYS) as Way[];

interface Measured {
  readonly perSecond: number;
  readonly refused: number;
  readonly p99Ms: number | null;
  readonly clientShare: number | null;
}

/** Reads per second by round. `before` is empty where that revision is not in the history. */
interface ReadsResult {
  readonly rounds: Readonly<Record<Way, readonly Measured[]>>;
}

async function measure({ rounds: times, seconds }: Rounds): Promise<ReadsResult> {
  const tree = await checkOut(REVISION_BEFORE);
  const now = await startOnOneCore();
  const before = tree === null ? null : await startOnOneCore(tree);
  await preparePgbench(now);
  const run = {
    atlas: (length: number) => runReads(now, length),
    before: (length: number) => runReads(before!, length),
    pgbench: (length: number) => runPgbench(now, length),
  };
  const present = ways.filter((way) => way !== 'before' || before !== null);
  const rounds: Record<Way, Measured[]> = { atlas: [], before: [], pgbench: [] };
  for (const way of present) await run[way](FIRST_WARM_UP_SECONDS);
  for (let round = 0; round < times; round++) {
    for (let i = 0; i < present.length; i++) {
      const way = present[(i + round) % present.length]!;
      const seen = await run[way](seconds);
      rounds[way].push(seen);
      progress(
        `reads: round ${round + 1}/${times}  ${WAYS[way].padEnd(24)} ${count(seen.perSecond).padStart(7)}/s`,
      );
    }
  }
  return { rounds };
}

async function runReads({ database, atlas }: OneCore, seconds: number): Promise<Measured> {
  const { all, shares } = await runLoad(database, {
    url: atlas.url,
    accounts: ACCOUNTS,
    streams: [{ name: 'reads', kind: 'account', share: 1 }],
    callers: CALLERS,
    ratePerSecond: null,
    warmUpSeconds: WARM_UP_SECONDS,
    seconds,
    processes: { atlas: atlas.pid, postgres: database.pid },
    core: CLIENT_CORE,
  });
  const { good, late, refused, admitted } = all;
  return {
    perSecond: good + late,
    refused: refused / (good + late + refused),
    p99Ms: admitted.p99Ms,
    clientShare: shares.client!,
  };
}

/** pgbench reads a table of its own, with 100,000 rows. */
async function preparePgbench({ database }: OneCore): Promise<void> {
  await start([`${POSTGRES_BIN}/pgbench`, '-i', '-q', '-s', '1', database.url]).output;
}

async function runPgbench({ database }: OneCore, seconds: number): Promise<Measured> {
  const options = ['-n', '-S', '-M', 'prepared', '-c', String(CALLERS), '-T', String(Math.ceil(seconds))];
  const text = await start([`${POSTGRES_BIN}/pgbench`, ...options, database.url], { core: SERVER_CORE })
    .output;
  const perSecond = Number(/^tps = ([\d.]+)/m.exec(text)?.[1]);
  return { perSecond, refused: 0, p99Ms: null, clientShare: null };
}

/** Median of the ratios of each round. NaN if one of them was not measured. */
function ratio({ rounds }: ReadsResult, upper: Way, lower: Way): number {
  return median(rounds[lower].map(({ perSecond }, round) => rounds[upper][round]!.perSecond / perSecond));
}

function readsTable(result: ReadsResult): string {
  const rows = ways.map((way) => {
    const rounds = result.rounds[way];
    const middle = (read: (round: Measured) => number | null) =>
      median(rounds.map((round) => read(round) ?? Number.NaN));
    const rates = rounds.map(({ perSecond }) => perSecond);
    return [
      WAYS[way],
      count(middle(({ perSecond }) => perSecond)),
      `${count(Math.min(...rates))}–${count(Math.max(...rates))}`,
      percent(middle(({ refused }) => refused)),
      decimal(middle(({ p99Ms }) => p99Ms)),
      clientCoreText(middle(({ clientShare }) => clientShare)),
      decimal(ratio(result, 'atlas', way)),
    ];
  });
  const head = ['64 callers', 'reads/s', 'range', 'refused', 'P99 ms', 'client core', 'Atlas ÷ it'];
  return alignedTable(head, rows);
}

/** Reads by id, compared with an earlier revision and with plain queries. */
export const reads = definePart({
  title: 'Reads',
  note: `One worker of atlas serve and all of PostgreSQL on core 0; the client and Redis on core 1. pgbench takes the place of Atlas,\non core 0. Interleaved.`,
  measure: ({ plan }) => measure(plan.reads),
  tables: (result) => [readsTable(result)],
  targets: (result) => [
    atLeast(`GET of an account, 64 callers ÷ ${REVISION_BEFORE}`, ratio(result, 'atlas', 'before'), 2),
    atLeast('GET of an account ÷ pgbench -S -M prepared, 64 callers', ratio(result, 'atlas', 'pgbench'), 0.5),
  ],
});
