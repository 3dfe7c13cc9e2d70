import type { Sql } from '../../src/adapters/postgres/postgres.ts';
import { definePart } from './part.ts';
import type { Plan } from './plan.ts';
import { startDatabase } from './support/database.ts';
import { freshFolder } from './support/folders.ts';
import { inRepository } from './support/processes.ts';
import { progress } from './support/progress.ts';
import { alignedTable, count, decimal } from './support/statistics.ts';
import { atMost } from './targets.ts';

const ACCOUNTS = 1000;
const SECONDS_MAX = 60;
const MIB = 1024 * 1024;
// Of the ledger that the other must not need more memory than.
const SMALL_SHARE = 10;
const GROWTH_MIB_MAX = 64;

interface Verified {
  readonly transfers: number;
  readonly seconds: number;
  readonly peakMib: number;
}

interface VerificationResult {
  readonly small: Verified;
  readonly large: Verified;
}

/** Measures `atlas verify` over a ledger, and over one with a tenth of the transfers. */
async function measure({ transfers }: Plan['verification']): Promise<VerificationResult> {
  const database = await startDatabase();
  const ids = await openAccounts(database.sql);
  const small = transfers / SMALL_SHARE;
  await post(database.sql, ids, 0, small);
  const first = await verify(database.url, small);
  await post(database.sql, ids, small, transfers);
  return { small: first, large: await verify(database.url, transfers) };
}

async function openAccounts(sql: Sql): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    INSERT INTO accounts (id, owner, ledger, allow_negative, metadata)
      SELECT gen_random_uuid(), 'owner', 'EUR', true, '{}' FROM generate_series(1, ${ACCOUNTS}) RETURNING id`;
  return rows.map(({ id }) => id);
}

/** Writes transfers as the ledger does, from each account of the first half to one of the second in turn. */
async function post(sql: Sql, ids: readonly string[], from: number, to: number): Promise<void> {
  progress(`verification: writing ${count(to - from)} transfers`);
  const half = ACCOUNTS / 2;
  await sql`
    INSERT INTO transfers (id, debit_account_id, debit_version, debit_balance, credit_account_id, credit_version,
                           credit_balance, ledger, amount, metadata, created_at)
      SELECT gen_random_uuid(), (${ids as string[]}::uuid[])[1 + n % ${half}], 1 + n / ${half}, -(1 + n / ${half}),
             (${ids as string[]}::uuid[])[1 + ${half} + n % ${half}], 1 + n / ${half}, 1 + n / ${half}, 'EUR', 1, '{}', now()
        FROM generate_series(${from}::bigint, ${to - 1}::bigint) n`;
  await sql`
    INSERT INTO outbox (transfer_id, debit_account_id, debit_version, debit_owner, credit_account_id, credit_version,
                        credit_owner, posted_at)
      SELECT id, debit_account_id, debit_version, 'owner', credit_account_id, credit_version, 'owner', created_at
        FROM transfers WHERE debit_version > ${from / half}`;
  const each = to / half;
  await sql`UPDATE accounts SET version = ${each}, debits_posted = ${each} WHERE id = ANY (${ids.slice(0, half)})`;
  await sql`UPDATE accounts SET version = ${each}, credits_posted = ${each} WHERE id = ANY (${ids.slice(half)})`;
  await sql`VACUUM ANALYZE transfers, outbox, accounts`;
}

async function verify(url: string, transfers: number): Promise<Verified> {
  const startMs = performance.now();
  const folder = freshFolder();
  const child = Bun.spawn([process.execPath, inRepository('src/main.ts'), 'verify'], {
    cwd: folder,
    env: { PATH: process.env.PATH ?? '', HOME: folder, ATLAS_DATA_DIR: folder, DATABASE_URL: url },
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0 || !stdout.includes(`${transfers} transfers`))
    throw new Error(`atlas verify failed:\n${stdout}${stderr}`);
  const seconds = (performance.now() - startMs) / 1000;
  const peakMib = child.resourceUsage()!.maxRSS / MIB;
  progress(
    `verification: ${count(transfers)} transfers in ${decimal(seconds, 1)} s, ${decimal(peakMib, 0)} MiB`,
  );
  return { transfers, seconds, peakMib };
}

export const verification = definePart<VerificationResult>({
  title: 'Verification of the ledger',
  note: `\`atlas verify\` from its start to its exit, over transfers between ${count(ACCOUNTS)} accounts whose events have not been sent, which is the slowest case. Memory is the peak of its process; PostgreSQL runs beside it.`,
  measure: ({ plan }) => measure(plan.verification),
  tables: ({ small, large }) => [
    alignedTable(
      ['transfers', 'seconds', 'entries/s', 'peak MiB'],
      [small, large].map(({ transfers, seconds, peakMib }) => [
        count(transfers),
        decimal(seconds, 1),
        count(Math.round((2 * transfers) / seconds)),
        decimal(peakMib, 0),
      ]),
    ),
  ],
  targets: ({ small, large }) => [
    atMost(`atlas verify over ${count(large.transfers)} transfers`, large.seconds, SECONDS_MAX, 's', 1),
    atMost(
      'memory of ten times as many transfers, more',
      large.peakMib - small.peakMib,
      GROWTH_MIB_MAX,
      'MiB',
      0,
    ),
  ],
});
