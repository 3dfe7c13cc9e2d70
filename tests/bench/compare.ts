import { until } from '../support/until.ts';
import { conditionsText, readConditions } from './conditions.ts';
import type { LoadReport, LoadStream } from './load/order.ts';
import { runLoad } from './load/run-load.ts';
import type { PartName } from './parts.ts';
import type { Plan, Rounds } from './plan.ts';
import { type OneCore, startOnOneCore } from './saturation/setup.ts';
import { checkOut } from './support/checkout.ts';
import type { BenchDatabase } from './support/database.ts';
import { CLIENT_CORE } from './support/oha.ts';
import { HERE } from './support/processes.ts';
import { progress } from './support/progress.ts';
import { writeReport } from './support/report.ts';
import { alignedTable, count, decimal, median } from './support/statistics.ts';

const MANY = 10_000;
const HOT = 5;
const IN_FLIGHT_MAX = 4000;
const WARM_UP_SECONDS = 1;
const FIRST_WARM_UP_SECONDS = 2;
const TRANSFERS: LoadStream = { name: 'transfers', kind: 'transfer', share: 1 };
const READS: LoadStream = { name: 'reads', kind: 'account', share: 1 };
const PINGS: LoadStream = { name: 'pings', kind: '/v1/ping', share: 1 };

/** One row of the comparison. */
interface Measure {
  readonly part: PartName;
  readonly name: string;
  readonly stream: LoadStream;
  readonly accounts: number;
  readonly callers: number;
  /** Offered load ÷ the higher of both peaks. Null: a closed loop. */
  readonly load: number | null;
  readonly read: (report: LoadReport) => number;
}

const rate = ({ all }: LoadReport) => all.good + all.late;
const goodput = ({ all }: LoadReport) => all.good;
const perCpuSecond = ({ arrived, shares }: LoadReport) => arrived.served / shares.atlas!;

const closed = (
  part: PartName,
  name: string,
  stream: LoadStream,
  callers: number,
  accounts = MANY,
): Measure => ({
  part,
  name: `${name}, ${callers} callers, per second`,
  stream,
  accounts,
  callers,
  load: null,
  read: rate,
});
const open = (load: number): Measure => ({
  part: 'overload-payments',
  name: `payments at ${load} × the peak, goodput per second`,
  stream: TRANSFERS,
  accounts: MANY,
  callers: IN_FLIGHT_MAX,
  load,
  read: goodput,
});

const MEASURES: readonly Measure[] = [
  {
    ...closed('envelope', '', PINGS, 64),
    name: 'keyed GET /v1/ping, per processor second of the server',
    read: perCpuSecond,
  },
  closed('reads', 'GET /v1/accounts/{id}', READS, 64),
  closed('transfers', 'transfers', TRANSFERS, 64),
  closed('transfers', 'transfers', TRANSFERS, 512),
  closed('transfers', 'transfers on five hot accounts', TRANSFERS, 64, HOT),
  closed('transfers', 'transfers on five hot accounts', TRANSFERS, 512, HOT),
  open(1.7),
  open(3),
  open(10),
];
const PEAK = MEASURES.find(({ stream, callers }) => stream === TRANSFERS && callers === 512)!;

/** The parts of which something can be compared. */
export const COMPARED_PARTS = [...new Set(MEASURES.map(({ part }) => part))];

interface Row {
  readonly name: string;
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/** Runs the servers of a revision and of this tree in the same rounds, and prints both with their ratio. */
export async function compare(revision: string, plan: Plan, only: PartName | null): Promise<void> {
  const measures = MEASURES.filter(({ part }) => only === null || part === only);
  if (measures.length === 0)
    throw new Error(`--compare can be combined with --only ${COMPARED_PARTS.join(', ')}, not with ${only}.`);
  const tree = await checkOut(revision);
  if (tree === null) throw new Error(`The history does not have the revision ${revision}.`);
  const conditions = readConditions(plan);
  const sides = [await startOnOneCore(tree), await startOnOneCore(HERE)] as const;
  const rows = await measureRows(sides, measures, plan.compare);
  const file = await writeReport('compare', { conditions, revision, rows });
  console.log(
    `\n${[conditionsText(conditions), table(revision, rows), NOTE, `Written to ${file}`].join('\n\n')}`,
  );
}

const CATCH_UP_MS = 60_000;
const NOTE = `Each side: one worker of atlas serve and all of its PostgreSQL on core 0; the client and Redis on core 1. Both sides take turns
in each round; the ratio is the median over the rounds. Overloads offer both the same rate: a multiple of the higher peak.`;

async function measureRows(
  sides: readonly [OneCore, OneCore],
  measures: readonly Measure[],
  { rounds, seconds }: Rounds,
): Promise<Row[]> {
  for (const { stream } of new Map(measures.map((one) => [one.stream, one])).values())
    for (const side of sides) await run(side, { ...PEAK, stream }, 0, FIRST_WARM_UP_SECONDS);
  let peak = 0;
  if (measures.some(({ load }) => load !== null))
    for (const side of sides) peak = Math.max(peak, goodput(await run(side, PEAK, 0, seconds)));
  const rows = measures.map(({ name }) => ({ name, before: [] as number[], after: [] as number[] }));
  for (let round = 0; round < rounds; round++) {
    for (const [i, measure] of measures.entries()) {
      const row = rows[i]!;
      const turn = [
        async () => row.before.push(measure.read(await run(sides[0], measure, peak, seconds))),
        async () => row.after.push(measure.read(await run(sides[1], measure, peak, seconds))),
      ];
      // Neither side always goes first.
      for (const go of round % 2 === 0 ? turn : turn.reverse()) await go();
      progress(
        `compare: round ${round + 1}/${rounds}  ${measure.name.padEnd(64)} ${count(row.before.at(-1)!).padStart(8)} ${count(row.after.at(-1)!).padStart(8)}`,
      );
    }
  }
  return rows;
}

async function run(
  { database, atlas }: OneCore,
  { stream, accounts, callers, load }: Measure,
  peak: number,
  seconds: number,
): Promise<LoadReport> {
  const report = await runLoad(database, {
    url: atlas.url,
    accounts,
    streams: [stream],
    callers,
    ratePerSecond: load === null ? null : Math.round(load * peak),
    warmUpSeconds: WARM_UP_SECONDS,
    seconds,
    processes: { atlas: atlas.pid, postgres: database.pid },
    core: CLIENT_CORE,
  });
  // Both sides share a core, so neither may leave work behind for the turn of the other.
  await until(() => hasCaughtUp(database), { deadlineMs: CATCH_UP_MS });
  return report;
}

/** Whether all events were sent and consumed. */
async function hasCaughtUp({ sql }: BenchDatabase): Promise<boolean> {
  const [row] = await sql<[{ isEmpty: boolean; isRead: boolean }]>`
    SELECT NOT EXISTS (SELECT FROM outbox) AS is_empty, NOT EXISTS (
      SELECT FROM consumer_offsets o, relay r WHERE o.partition = -1 AND o.position < r.last_position) AS is_read`;
  return row.isEmpty && row.isRead;
}

function table(revision: string, rows: readonly Row[]): string {
  const cells = rows.map(({ name, before, after }) => {
    const ratios = after.map((value, round) => value / before[round]!);
    return [
      name,
      count(median(before)),
      count(median(after)),
      decimal(median(ratios)),
      `${decimal(Math.min(...ratios))}–${decimal(Math.max(...ratios))}`,
    ];
  });
  return alignedTable(['more is better', revision, HERE.name, 'ratio', 'range'], cells);
}
