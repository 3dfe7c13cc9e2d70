import { POSTGRES_BIN } from '../../infra/native-postgres.ts';
import type { RequestKind } from './load/order.ts';
import { runLoad } from './load/run-load.ts';
import { definePart } from './part.ts';
import type { Rounds } from './plan.ts';
import { cpuSeconds, familyCpuSeconds, residentMebibytes, shareOfCore } from './support/cpu.ts';
import { type BenchDatabase, resetLedger, startDatabase, verifyLedger } from './support/database.ts';
import { inRepository, type Server, start, startServer } from './support/processes.ts';
import { progress } from './support/progress.ts';
import { alignedTable, count, decimal, median, percent } from './support/statistics.ts';
import { atLeast, atMost, type Target } from './targets.ts';

const ACCOUNTS = { many: 10_000, hot: 5 } as const;
const CALLERS = [64, 512] as const;
const PGBENCH_CLIENTS = 16;
const WARM_UP_SECONDS = 1;
const FIRST_WARM_UP_SECONDS = 3;

type Spread = keyof typeof ACCOUNTS;
type Way = 'simple' | 'prepared' | 'pairs' | (typeof CALLERS)[number];
const WAYS: readonly Way[] = ['simple', ...CALLERS, 'pairs', 'prepared'];

/** One measurement. Shares are in cores, and may exceed 1. */
export interface Measured {
  readonly perSecond: number;
  /** 429 responses ÷ all responses. */
  readonly refused: number;
  readonly medianMs: number | null;
  readonly p99Ms: number | null;
  readonly atlasShare: number | null;
  readonly clientShare: number;
  readonly postgresShare: number;
}

/** One method of posting over all rounds. */
interface TransferSeries {
  readonly accounts: number;
  /** The protocol of pgbench, the number of callers of Atlas, or the pairs of holds and posts of the fewer ones. */
  readonly way: Way;
  readonly rounds: readonly Measured[];
  readonly perSecond: number;
  /** Medians of the ratios of each round. */
  readonly toSimple: number;
  readonly toPrepared: number;
  readonly toTransfers: number;
}

/** All methods of posting, and the memory of the worker afterwards. */
interface TransfersResult {
  readonly series: readonly TransferSeries[];
  readonly residentMebibytes: number;
}

/** Measures transfers over HTTP and in pgbench in turn, on one PostgreSQL that is reset before each. */
async function benchTransfers({ rounds, seconds }: Rounds): Promise<TransfersResult> {
  const database = await startDatabase();
  const env = { ENVIRONMENT: 'production', DATABASE_URL: database.url, API_PORT: '0', API_WORKERS: '1' };
  const atlas = await startServer([process.execPath, inRepository('src/main.ts'), 'serve'], { env });
  progress('transfers: warming up');
  await resetLedger(database.sql, ACCOUNTS.many);
  await runAtlas(database, atlas, CALLERS[0], ACCOUNTS.many, FIRST_WARM_UP_SECONDS);

  const measured = new Map<string, Measured[]>();
  for (let round = 0; round < rounds; round++) {
    for (const spread of Object.keys(ACCOUNTS) as Spread[]) {
      for (const way of round % 2 === 0 ? WAYS : [...WAYS].reverse()) {
        const accounts = ACCOUNTS[spread];
        await resetLedger(database.sql, accounts);
        const seen =
          typeof way === 'number'
            ? await runAtlas(database, atlas, way, accounts, seconds)
            : way === 'pairs'
              ? await runPairs(database, atlas, accounts, seconds)
              : await runPgbench(database, way, accounts, seconds);
        const name = seriesName(accounts, way);
        measured.set(name, [...(measured.get(name) ?? []), seen]);
        progress(
          `transfers: round ${round + 1}/${rounds}  ${name.padEnd(36)} ${count(seen.perSecond).padStart(7)}/s`,
        );
      }
    }
  }
  const resident = residentMebibytes(atlas.pid);
  await atlas.stop();
  const series = Object.values(ACCOUNTS).flatMap((accounts) =>
    WAYS.map((way): TransferSeries => {
      const of = (other: Way) => measured.get(seriesName(accounts, other))!.map(({ perSecond }) => perSecond);
      const rates = of(way);
      const ratioTo = (other: Way) => median(of(other).map((rate, i) => rates[i]! / rate));
      return {
        accounts,
        way,
        rounds: measured.get(seriesName(accounts, way))!,
        perSecond: median(rates),
        toSimple: ratioTo('simple'),
        toPrepared: ratioTo('prepared'),
        toTransfers: ratioTo(CALLERS[0]),
      };
    }),
  );
  return { series, residentMebibytes: resident };
}

function seriesName(accounts: number, way: Way): string {
  const what =
    way === 'pairs'
      ? `Atlas, ${CALLERS[0]} callers, hold + post`
      : typeof way === 'number'
        ? `Atlas, ${way} callers`
        : `pgbench -M ${way}, ${PGBENCH_CLIENTS} clients`;
  return `${accounts === ACCOUNTS.hot ? 'five hot' : '10,000'}: ${what}`;
}

/**
 * Loads a server with transfers, or with what else posts one per two requests. Refusals are part of the result. Throws if any other response than 201 and 429 arrives,
 * or if the database then holds another number of transfers than there were 201 responses.
 */
export async function runAtlas(
  database: BenchDatabase,
  atlas: Server,
  callers: number,
  accounts: number,
  seconds: number,
  kind: RequestKind = 'transfer',
): Promise<Measured> {
  const { all, statuses, unknown, shares } = await runLoad(database, {
    url: atlas.url,
    accounts,
    streams: [{ name: 'transfers', kind, share: 1 }],
    callers,
    ratePerSecond: null,
    warmUpSeconds: WARM_UP_SECONDS,
    seconds,
    processes: { atlas: atlas.pid, postgres: database.pid },
  });
  if (unknown > 0) throw new Error(`Expected only 201 and 429 from Atlas, got ${JSON.stringify(statuses)}.`);
  const { good, late, refused, admitted } = all;
  return {
    perSecond: good + late,
    refused: refused / (good + late + refused),
    medianMs: admitted.p50Ms,
    p99Ms: admitted.p99Ms,
    atlasShare: shares.atlas!,
    clientShare: shares.client!,
    postgresShare: shares.postgres!,
  };
}

/** Loads a server with holds, each of which is posted in full by its caller. The rate is that of the pairs. */
async function runPairs(
  database: BenchDatabase,
  atlas: Server,
  accounts: number,
  seconds: number,
): Promise<Measured> {
  const seen = await runAtlas(database, atlas, CALLERS[0], accounts, seconds, 'hold and post');
  return { ...seen, perSecond: seen.perSecond / 2 };
}

async function runPgbench(
  database: BenchDatabase,
  protocol: 'simple' | 'prepared',
  accounts: number,
  seconds: number,
): Promise<Measured> {
  const script = inRepository('tests/bench/load/transfer.pgbench.sql');
  const options = ['-n', '-M', protocol, '-c', String(PGBENCH_CLIENTS), '-j', '2', '-T', String(seconds)];
  const pgbench = start([
    `${POSTGRES_BIN}/pgbench`,
    ...options,
    '-D',
    `naccounts=${accounts}`,
    '-f',
    script,
    database.url,
  ]);
  const shares = shareOfCore(seconds * 1000, {
    client: () => cpuSeconds(pgbench.pid),
    postgres: () => familyCpuSeconds(database.pid),
  });
  const [share, text] = await Promise.all([shares, pgbench.output]);
  const perSecond = Number(/^tps = ([\d.]+)/m.exec(text)?.[1]);
  const processed = Number(/actually processed: (\d+)/.exec(text)?.[1]);
  const posted = await verifyLedger(database.database);
  if (posted !== processed)
    throw new Error(
      `pgbench reports ${processed} transactions, but the database holds ${posted} transfers.\n${text}`,
    );
  return {
    perSecond,
    refused: 0,
    medianMs: null,
    p99Ms: null,
    atlasShare: null,
    clientShare: share.client,
    postgresShare: share.postgres,
  };
}

/** Formats the result as a table. */
function transfersTable({ series }: TransfersResult): string {
  const rows = series.map(({ accounts, way, rounds, perSecond, toSimple, toPrepared }) => {
    const rates = rounds.map((round) => round.perSecond);
    const middle = (read: (round: Measured) => number | null) =>
      decimal(median(rounds.map((round) => read(round) ?? Number.NaN)));
    return [
      seriesName(accounts, way),
      count(perSecond),
      `${count(Math.min(...rates))}–${count(Math.max(...rates))}`,
      decimal(toSimple),
      decimal(toPrepared),
      percent(median(rounds.map((round) => round.refused))),
      middle((round) => round.medianMs),
      middle((round) => round.p99Ms),
      middle((round) => round.atlasShare),
      middle((round) => round.clientShare),
      middle((round) => round.postgresShare),
    ];
  });
  const head = [
    'accounts',
    'transfers/s',
    'range',
    '÷ simple',
    '÷ prepared',
    'refused',
    'P50 ms',
    'P99 ms',
    'Atlas',
    'client',
    'PostgreSQL',
  ];
  return alignedTable(head, rows);
}

const NOTE = `Atlas, its client and PostgreSQL share all cores, as do pgbench and PostgreSQL; nothing is pinned. One worker with its relay,
events staying in PostgreSQL. pgbench posts one transfer per transaction with 16 clients. The last three columns are cores
used. hold + post is two requests, and its rate is that of the pairs. Each measurement starts with empty tables. After each, the ledger is verified, and the number of transfers must equal
the number of 201 responses. oha cannot vary the Idempotency-Key, so tests/bench/load/client.ts is the client.`;

function transferTargets({ series }: TransfersResult): Target[] {
  const of = (accounts: number, way: Way) =>
    series.find((one) => one.way === way && one.accounts === accounts)!;
  const refused = series.map(({ rounds }) => Math.max(...rounds.map((round) => round.refused)));
  const { many, hot } = ACCOUNTS;
  return [
    atLeast('transfers ÷ pgbench (simple), 64 callers', of(many, 64).toSimple, 3.5),
    atLeast('transfers ÷ pgbench (simple), 512 callers', of(many, 512).toSimple, 4.5),
    atLeast('transfers ÷ pgbench (prepared), 64 callers', of(many, 64).toPrepared, 2.4),
    atLeast('transfers ÷ pgbench (prepared), 512 callers', of(many, 512).toPrepared, 3),
    atMost('refused of 64 or 512 closed-loop callers, worst round', Math.max(...refused) * 100, 0, '%', 2),
    atLeast('hold + post pairs ÷ transfers, 64 callers', of(many, 'pairs').toTransfers, 0.4),
    atLeast('five hot accounts ÷ pgbench (simple), 64 callers', of(hot, 64).toSimple, 10),
    atLeast('five hot accounts ÷ pgbench (simple), 512 callers', of(hot, 512).toSimple, 12),
  ];
}

/** Posting, compared with one transaction per transfer on the same PostgreSQL. */
export const transfers = definePart({
  title: 'Transfers',
  note: NOTE,
  measure: ({ plan }) => benchTransfers(plan.transfers),
  tables: (result) => [transfersTable(result)],
  targets: transferTargets,
});
