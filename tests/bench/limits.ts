import { createLimitRepository } from '../../src/features/ledger/limits/repository.ts';
import { createTransferRepository } from '../../src/features/ledger/transfers/repository.ts';
import { anomaliesOf, measureGuard } from './limits/guards.ts';
import { definePart } from './part.ts';
import type { Rounds } from './plan.ts';
import { type BenchDatabase, resetLedger, startDatabase } from './support/database.ts';
import { progress } from './support/progress.ts';
import { alignedTable, count, decimal, median } from './support/statistics.ts';
import { atLeast } from './targets.ts';

const ACCOUNTS = 1000;
const BATCH_ITEMS = 64;
const WARM_UP_SECONDS = 1;
const FAR = 9_000_000_000_000_000;
/** Limits of all accounts, by turns as a group, and groups of one account each. */
const WAYS = [
  { label: 'none', whole: 0, single: 0 },
  { label: '1 of all accounts', whole: 1, single: 0 },
  { label: '10 of all accounts', whole: 10, single: 0 },
  { label: '1 of each account, 1,000 in all', whole: 0, single: ACCOUNTS },
] as const;
type Way = (typeof WAYS)[number];
const GUARDS = ['counter', 'serializable', 'read committed'] as const;
type Guard = (typeof GUARDS)[number];

interface GuardResult {
  /** By round. */
  readonly perSecond: readonly number[];
  /** Transactions that were rolled back with 40001 and repeated, ÷ those that committed. */
  readonly repeated: number;
  /** What passed beyond a limit of 50: with this guard alone, and with one session that is not serializable. */
  readonly beyond: number;
  readonly beyondWithOther: number;
}

interface LimitsResult {
  readonly guards: Readonly<Record<Guard, GuardResult>>;
  /** Transfers per second by round. */
  readonly posting: readonly { readonly label: string; readonly perSecond: readonly number[] }[];
}

async function measure({ rounds, seconds }: Rounds): Promise<LimitsResult> {
  const database = await startDatabase();
  const found = Object.fromEntries(
    GUARDS.map((guard) => [guard, { perSecond: [] as number[], repeated: 0 }]),
  );
  for (let round = 0; round < rounds; round++) {
    for (const guard of GUARDS) {
      const seen = await measureGuard(database.url, guard, seconds);
      found[guard]!.perSecond.push(seen.perSecond);
      found[guard]!.repeated += seen.repeated / rounds;
    }
    progress(`limits: guards, round ${round + 1}/${rounds}`);
  }
  const guards = {} as Record<Guard, GuardResult>;
  for (const guard of GUARDS) {
    const beyond = await anomaliesOf(database.url, guard, guard);
    const beyondWithOther = await anomaliesOf(database.url, guard, 'read committed');
    guards[guard] = { ...found[guard]!, beyond, beyondWithOther };
  }
  const posting = WAYS.map((way) => ({ ...way, perSecond: [] as number[] }));
  for (let round = 0; round < rounds; round++) {
    for (const way of posting) way.perSecond.push(await measurePosting(database, way, seconds));
    progress(`limits: posting, round ${round + 1}/${rounds}`);
  }
  return { guards, posting };
}

/** Posts batches one after the other, without HTTP, so that what limits cost is not hidden. */
async function measurePosting({ sql, database }: BenchDatabase, { whole, single }: Way, seconds: number) {
  await resetLedger(sql, ACCOUNTS);
  await sql`TRUNCATE limits, limit_accounts`;
  const ids = (await sql`SELECT id FROM accounts ORDER BY id`).map(({ id }) => id as string);
  const repository = createLimitRepository(database);
  const content = { name: 'bench', ledger: 'EUR', counts: 'debits', countsInternal: true } as const;
  for (let n = 0; n < whole + single; n++) {
    // As many of each kind as there may be.
    const accountIds = single > 0 ? [ids[n]!] : n % 2 === 0 ? ids : null;
    const limit = { ...content, maxima: { dayAmount: FAR, hourCount: FAR }, accountIds };
    const writer = { owner: 'owner', isOperator: false };
    const actor = { kind: 'system', id: 'bench' } as const;
    const refusal = await repository.create(crypto.randomUUID(), writer, limit, actor, {});
    if (refusal !== null) throw new Error(`The limit was refused: ${refusal.outcome}.`);
  }
  const { post } = createTransferRepository(database);
  const batch = () =>
    post(
      Array.from({ length: BATCH_ITEMS }, (_, i) => {
        const id = crypto.randomUUID();
        const from = Math.floor(Math.random() * ACCOUNTS);
        const sides = { debitAccountId: ids[from]!, creditAccountId: ids[(from + 1 + i) % ACCOUNTS]! };
        const order = { id, ...sides, amount: 1, reference: null, metadata: {} };
        return { owner: 'owner', key: id, fingerprint: '00'.repeat(32), atomic: false, orders: [order] };
      }),
    );
  let items = 0;
  for (const length of [WARM_UP_SECONDS, seconds]) {
    items = 0;
    for (const end = performance.now() + length * 1000; performance.now() < end; items += BATCH_ITEMS)
      await batch();
  }
  return items / seconds;
}

function ratioOf({ posting }: LimitsResult, perSecond: readonly number[]): number {
  return median(perSecond.map((value, round) => value / posting[0]!.perSecond[round]!));
}

/** How limits across accounts are guarded, and what they cost. */
export const limits = definePart({
  title: 'Limits across accounts',
  note: `Above: a limit of what one group pays in a day, in throw-away tables, ten sessions, one payment per transaction. A counter is a row
with a CHECK; the others add up the payments of the day. Beyond: what passed a limit of 50, and what passed it if one of the ten sessions
runs READ COMMITTED. Below: batches of ${BATCH_ITEMS} transfers between 1,000 accounts, posted one after the other without HTTP, counted by these
limits.`,
  measure: ({ plan }) => measure(plan.limits),
  tables: (result) => [
    alignedTable(
      ['guard', 'payments/s', 'repeated ÷ done', 'beyond', 'beyond with one other'],
      GUARDS.map((guard) => {
        const { perSecond, repeated, beyond, beyondWithOther } = result.guards[guard];
        return [guard, count(median(perSecond)), decimal(repeated), count(beyond), count(beyondWithOther)];
      }),
    ),
    alignedTable(
      ['limits', 'transfers/s', '÷ none'],
      result.posting.map(({ label, perSecond }) => [
        label,
        count(median(perSecond)),
        decimal(ratioOf(result, perSecond)),
      ]),
    ),
  ],
  targets: (result) => [
    atLeast('transfers/s with one limit ÷ with none', ratioOf(result, result.posting[1]!.perSecond), 0.9),
  ],
});
