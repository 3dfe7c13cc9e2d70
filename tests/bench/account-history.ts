import { peakDuring, residentMebibytes, workerOf } from './files/memory.ts';
import { definePart } from './part.ts';
import { type OneCore, startOnOneCore } from './saturation/setup.ts';
import { resetLedger } from './support/database.ts';
import { progress } from './support/progress.ts';
import { alignedTable, count, decimal, median, percentile } from './support/statistics.ts';
import { atLeast, atMost } from './targets.ts';

const ENTRIES = 1_000_000;
const BACK_DATED = 20_000;
const BATCH = 1000;
const OTHERS = 1000;
const WARM_UP_READS = 300;
const RATIO_MAX = 3;
const MEMORY_MAX_MEBIBYTES = 64;
const RATE_MIN = 50_000;

/** Lengths of the part. */
export interface HistoryPlan {
  readonly rounds: number;
  /** Of each kind, per round. */
  readonly reads: number;
  readonly streams: number;
}

const WAYS = {
  current: 'current balance: GET /v1/accounts/{id}',
  recorded: 'by time of recording: …/balance?at=',
  effective: 'by time of effect: …/balance?effectiveAt=',
} as const;
type Way = keyof typeof WAYS;
const ways = Object.keys(WAYS) as Way[];

interface Stream {
  readonly entriesPerSecond: number;
  readonly growthMebibytes: number;
}

interface HistoryResult {
  /** By round. */
  readonly p50Ms: Readonly<Record<Way, readonly number[]>>;
  readonly p99Ms: Readonly<Record<Way, readonly number[]>>;
  readonly streams: readonly Stream[];
}

async function measure({ rounds, reads, streams }: HistoryPlan): Promise<HistoryResult> {
  const server = await startOnOneCore();
  const account = await fill(server);
  const p50Ms: Record<Way, number[]> = { current: [], recorded: [], effective: [] };
  const p99Ms: Record<Way, number[]> = { current: [], recorded: [], effective: [] };
  await readInTurn(server, account, WARM_UP_READS);
  for (let round = 0; round < rounds; round++) {
    const took = await readInTurn(server, account, reads);
    for (const way of ways) {
      p50Ms[way].push(percentile(took[way], 0.5));
      p99Ms[way].push(percentile(took[way], 0.99));
    }
    progress(
      `history: round ${round + 1}/${rounds}  ${ways.map((way) => decimal(p99Ms[way].at(-1)!)).join(', ')} ms`,
    );
  }
  const seen: Stream[] = [];
  for (let i = 0; i < streams; i++) {
    seen.push(await stream(server, account));
    progress(`history: statement ${i + 1}/${streams}  ${count(seen[i]!.entriesPerSecond)} entries/s`);
  }
  return { p50Ms, p99Ms, streams: seen };
}

/** What an account with a million entries is read with. */
interface Filled {
  readonly id: string;
  readonly firstMs: number;
  readonly lastMs: number;
}

/** Writes the rows that a million postings would have written, and posts some that are back-dated. */
async function fill({ database: { sql, apiKey }, atlas }: OneCore): Promise<Filled> {
  progress(`history: writing ${count(ENTRIES)} entries`);
  await resetLedger(sql, OTHERS + 1);
  const ids = (await sql<{ id: string }[]>`SELECT id FROM accounts ORDER BY id`).map(({ id }) => id);
  const [id, ...others] = ids as [string, ...string[]];
  await sql`
    INSERT INTO transfers (id, debit_account_id, debit_version, debit_balance, credit_account_id, credit_version,
                           credit_balance, ledger, amount, reference, metadata, created_at)
    SELECT md5('t' || n)::uuid, (${others}::uuid[])[1 + n % ${OTHERS}], 1 + n / ${OTHERS}, -(1 + n / ${OTHERS}), ${id}, n + 1, n + 1,
           'EUR', 1, 'Invoice ' || n, '{}', now() - (${ENTRIES} - n) * interval '1 second'
    FROM generate_series(0, ${ENTRIES - 1}) n`;
  await sql`
    UPDATE accounts a SET version = x.version, debits_posted = x.debits, credits_posted = x.credits, posted_at = now()
    FROM (SELECT ${id}::uuid AS id, ${ENTRIES}::bigint AS version, 0::bigint AS debits, ${ENTRIES}::bigint AS credits UNION ALL
          SELECT unnest(${others}::uuid[]), ${ENTRIES / OTHERS}, ${ENTRIES / OTHERS}, 0) x WHERE a.id = x.id`;
  await sql`VACUUM (ANALYZE) transfers, accounts`;
  await sql`CHECKPOINT`;
  const nowMs = Date.now();
  for (let posted = 0; posted < BACK_DATED; posted += BATCH) {
    const transfers = Array.from({ length: BATCH }, (_, i) => ({
      debitAccountId: others[i % OTHERS]!,
      creditAccountId: id,
      amount: 1,
      effectiveAt: new Date(nowMs - Math.floor(Math.random() * 10 * 86_400_000)).toISOString(),
    }));
    const response = await fetch(`${atlas.url}/v1/transfers/batch`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${apiKey}`,
        'Content-Type': 'application/json',
        'Idempotency-Key': `back-dated-${posted}`,
      },
      body: JSON.stringify({ transfers, atomic: true }),
    });
    if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  }
  await sql`VACUUM (ANALYZE) effective_entries, effective_sums`;
  return { id, firstMs: nowMs - ENTRIES * 1000, lastMs: nowMs };
}

/** Reads one after the other, in turn, at random moments. Returns the milliseconds of each. */
async function readInTurn(
  { atlas, database }: OneCore,
  { id, firstMs, lastMs }: Filled,
  reads: number,
): Promise<Record<Way, number[]>> {
  const took: Record<Way, number[]> = { current: [], recorded: [], effective: [] };
  const headers = { Authorization: `Bearer ${database.apiKey}` };
  for (let i = 0; i < reads; i++) {
    const moment = new Date(firstMs + Math.floor(Math.random() * (lastMs - firstMs))).toISOString();
    const paths = {
      current: '',
      recorded: `/balance?at=${moment}`,
      effective: `/balance?effectiveAt=${moment}`,
    };
    for (const way of ways) {
      const startMs = performance.now();
      const response = await fetch(`${atlas.url}/v1/accounts/${id}${paths[way]}`, { headers });
      await response.arrayBuffer();
      took[way].push(performance.now() - startMs);
      if (response.status !== 200) throw new Error(`${paths[way]}: ${response.status}`);
    }
  }
  return took;
}

/** Reads a statement of all entries as CSV. Throws unless it is complete. */
async function stream({ atlas, database }: OneCore, { id }: Filled): Promise<Stream> {
  const pid = workerOf(atlas.pid);
  const before = residentMebibytes(pid);
  const startMs = performance.now();
  const { result: lines, peakMebibytes } = await peakDuring(pid, async () => {
    const headers = { Authorization: `Bearer ${database.apiKey}`, Accept: 'text/csv' };
    const { body } = await fetch(`${atlas.url}/v1/accounts/${id}/statement`, { headers });
    let ends = 0;
    for await (const bytes of body!) for (const byte of bytes) if (byte === 10) ends++;
    return ends;
  });
  const seconds = (performance.now() - startMs) / 1000;
  const entries = ENTRIES + BACK_DATED;
  if (lines !== entries + 3) throw new Error(`The statement has ${lines} lines.`);
  return { entriesPerSecond: entries / seconds, growthMebibytes: peakMebibytes - before };
}

/** Median over the rounds of the ratio to the current balance in the same round. */
function ratio({ p99Ms }: HistoryResult, way: Way): number {
  return median(p99Ms[way].map((ms, round) => ms / p99Ms.current[round]!));
}

function balancesTable(result: HistoryResult): string {
  const rows = ways.map((way) => [
    WAYS[way],
    decimal(median(result.p50Ms[way])),
    decimal(median(result.p99Ms[way])),
    decimal(ratio(result, way)),
  ]);
  return alignedTable(['1,020,000 entries, one caller', 'P50 ms', 'P99 ms', 'P99 ÷ current'], rows);
}

function streamsTable({ streams }: HistoryResult): string {
  const rows = streams.map(({ entriesPerSecond, growthMebibytes }, i) => [
    `statement ${i + 1}`,
    count(entriesPerSecond),
    decimal(growthMebibytes, 1),
  ]);
  return alignedTable(['1,020,000 entries as CSV', 'entries/s', 'growth of memory, MiB'], rows);
}

/** Past balances and statements of an account with a million entries. */
export const accountHistory = definePart({
  title: 'History',
  note: `One worker of atlas serve and all of PostgreSQL on core 0, the client on core 1. The account has 1,000,000 entries that were recorded\none per second, and 20,000 that are back-dated up to 10 days. Moments are random; the three kinds of reads take turns. The growth of\nmemory is the peak of the worker during the statement less what it had before.`,
  measure: ({ plan }) => measure(plan.history),
  tables: (result) => [balancesTable(result), streamsTable(result)],
  targets: (result) => [
    atMost(
      'balance at a past moment by recording ÷ current balance, P99',
      ratio(result, 'recorded'),
      RATIO_MAX,
    ),
    atMost(
      'balance at a past moment by effect ÷ current balance, P99',
      ratio(result, 'effective'),
      RATIO_MAX,
    ),
    atMost(
      'statement of 1,020,000 entries as CSV: growth of memory',
      Math.max(...result.streams.map(({ growthMebibytes }) => growthMebibytes)),
      MEMORY_MAX_MEBIBYTES,
      'MiB',
      0,
    ),
    atLeast(
      'statement of 1,020,000 entries as CSV: entries/s',
      median(result.streams.map(({ entriesPerSecond }) => entriesPerSecond)),
      RATE_MIN,
      0,
    ),
  ],
});
