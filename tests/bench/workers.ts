import { startAtlas } from './cluster/atlas.ts';
import { definePart } from './part.ts';
import type { Rounds } from './plan.ts';
import { resetLedger, startDatabase } from './support/database.ts';
import type { Server } from './support/processes.ts';
import { progress } from './support/progress.ts';
import { alignedTable, count, decimal, median, percent } from './support/statistics.ts';
import { atLeast } from './targets.ts';
import { type Measured, runAtlas } from './transfers.ts';

const HOT_ACCOUNTS = 5;
const WORKERS = [1, 4] as const;
const CALLERS = [64, 512] as const;
const WARM_UP_SECONDS = 2;

/** Transfers on five hot accounts, by callers, with one worker and with four. */
interface HotAccounts {
  readonly callers: number;
  readonly one: number;
  readonly four: number;
  /** Median of the ratios of each round. */
  readonly ratio: number;
  /** Milliseconds. */
  readonly oneP99: number;
  readonly fourP99: number;
  /** 429 responses ÷ all responses: the ledger was taken for the bottleneck. */
  readonly oneRefused: number;
  readonly fourRefused: number;
}

interface WorkersResult {
  readonly hot: readonly HotAccounts[];
}

/** Measures one worker and four in turn, on one PostgreSQL that is reset before each. */
async function measure({ rounds, seconds: length }: Rounds): Promise<WorkersResult> {
  const database = await startDatabase();
  const servers: Server[] = [];
  for (const workers of WORKERS) servers.push(await startAtlas(workers, database));
  const measured = CALLERS.map(() => WORKERS.map((): Measured[] => []));
  const run = async (server: Server, callers: number, seconds: number) => {
    await resetLedger(database.sql, HOT_ACCOUNTS);
    return runAtlas(database, server, callers, HOT_ACCOUNTS, seconds);
  };
  for (const server of servers) await run(server, CALLERS[0], WARM_UP_SECONDS);
  for (let round = 0; round < rounds; round++) {
    for (const [i, callers] of CALLERS.entries()) {
      for (const [j, workers] of WORKERS.entries()) {
        const seen = await run(servers[j]!, callers, length);
        measured[i]![j]!.push(seen);
        progress(
          `hot accounts: round ${round + 1}/${rounds}  ${callers} callers, ${workers} worker${workers > 1 ? 's' : ' '}  ${count(seen.perSecond).padStart(7)}/s`,
        );
      }
    }
  }
  for (const server of servers) await server.stop();
  const hot = CALLERS.map((callers, i) => {
    const [one, four] = measured[i] as [Measured[], Measured[]];
    return {
      callers,
      one: median(one.map(({ perSecond }) => perSecond)),
      four: median(four.map(({ perSecond }) => perSecond)),
      ratio: median(four.map(({ perSecond }, round) => perSecond / one[round]!.perSecond)),
      oneP99: median(one.map(({ p99Ms }) => p99Ms ?? Number.NaN)),
      fourP99: median(four.map(({ p99Ms }) => p99Ms ?? Number.NaN)),
      oneRefused: median(one.map(({ refused }) => refused)),
      fourRefused: median(four.map(({ refused }) => refused)),
    };
  });
  return { hot };
}

/** Formats the result as a table. */
function hotAccountsTable(results: readonly HotAccounts[]): string {
  const rows = results.map(({ callers, one, four, ratio, ...rest }) => [
    `${callers} callers`,
    count(one),
    count(four),
    decimal(ratio),
    decimal(rest.oneP99, 1),
    decimal(rest.fourP99, 1),
    percent(rest.oneRefused),
    percent(rest.fourRefused),
  ]);
  const head = [
    'five hot accounts',
    '1 worker/s',
    '4 workers/s',
    'ratio',
    'P99 ms, 1',
    'P99 ms, 4',
    'refused, 1',
    'refused, 4',
  ];
  return alignedTable(head, rows);
}

/** Several workers on one host, compared with one. */
export const workers = definePart({
  title: 'Four workers on five hot accounts',
  note: `Atlas, its client and PostgreSQL share all cores; nothing is pinned. One worker and four in turn, on one PostgreSQL.`,
  measure: ({ plan }) => measure(plan.workers),
  tables: ({ hot }) => [hotAccountsTable(hot)],
  targets: ({ hot }) =>
    hot.map(({ callers, ratio }) =>
      atLeast(`4 workers ÷ 1 worker on five hot accounts, ${callers} callers`, ratio, 0.95),
    ),
});
