import type { Database } from '../../../adapters/postgres/database.ts';
import type { Fragment, FragmentTag, Queryable } from '../../../adapters/postgres/query.ts';
import type { BackgroundRepository, BackgroundState } from './background.ts';
import {
  type Discrepancy,
  FROM_THE_START,
  type Verification,
  type VerificationPosition,
  type VerificationProgress,
  type VerifiedEntries,
} from './domain.ts';
import { type EntriesRow, type EntriesScope, selectEntriesStep, toEntriesStep } from './entries-step.ts';
import {
  type KeyPosition,
  type LedgersStep,
  selectExchangesStep,
  selectKeysStep,
  selectLedgers,
  selectReversalsStep,
  selectTransfersStep,
  type TableStep,
} from './table-steps.ts';

/** Reads the whole ledger, or the accounts of one owner with their transfers. */
export interface LedgerRepository {
  /**
   * Verifies everything, in steps of bounded size that each see one moment. `owner` is null for the whole ledger.
   * Returns the first discrepancies.
   */
  verify(
    owner: string | null,
    discrepanciesMax: number,
    signal?: AbortSignal,
    onProgress?: (progress: VerificationProgress) => void,
  ): Promise<Omit<Verification, 'ok'>>;
}

export function createLedgerRepository(db: Database): LedgerRepository {
  return {
    async verify(owner, discrepanciesMax, signal, onProgress = () => {}) {
      const queries: Queryable = { query: (build) => db.query(build, { signal }) };
      const found = new Map<string, Discrepancy>();
      const add = (discrepancies: readonly Discrepancy[]) => {
        for (const { kind, at, expected, found: what } of discrepancies)
          if (found.size < discrepanciesMax) found.set(`${kind} ${at}`, { kind, at, expected, found: what });
      };
      const total = await countEntries(queries, owner);
      const sums = { accounts: 0, transfers: 0 };
      let entries = 0;
      let position: VerificationPosition | null = FROM_THE_START;
      while (position !== null) {
        const from: VerificationPosition = position;
        const step = await db.snapshot((tx) => entriesStep(tx, { owner, isIncremental: false }, from), {
          signal,
        });
        sums.accounts += step.accounts;
        sums.transfers += step.transfers;
        entries += step.entries;
        add(step.discrepancies);
        position = step.next;
        onProgress({ phase: 'entries', done: entries, total: Math.max(entries, total) });
      }
      const walk = async <K>(phase: string, select: (sql: FragmentTag, after: K | null) => Fragment) => {
        let done = 0;
        let after: K | null = null;
        do {
          const step: TableStep<K> = await readRow<TableStep<K>>(queries, (sql) => select(sql, after));
          done += step.rows;
          add(step.found);
          after = step.next;
          onProgress({ phase, done, total: Math.max(done, after === null ? done : sums.transfers) });
        } while (after !== null);
      };
      if (owner === null) {
        await walk<string>('transfers', selectTransfersStep);
        await walk<string>('reversals', selectReversalsStep);
        await walk<string>('exchanges', selectExchangesStep);
      }
      await walk<KeyPosition>('keys', (sql, after) => selectKeysStep(sql, owner, after));
      const totals = await readRow<LedgersStep>(queries, (sql) => selectLedgers(sql, owner));
      add(totals.found);
      return { ...sums, ledgers: totals.ledgers, discrepancies: [...found.values()] };
    },
  };
}

const DISCREPANCIES_MAX = 1000;
const SHOWN_MAX = 100;

export function createBackgroundRepository(db: Database): BackgroundRepository {
  return {
    step: () =>
      db.transaction(async (tx) => {
        const [state] = await tx.query(
          (sql) => sql<{ position: VerificationPosition | null }[]>`
            SELECT position FROM ledger_verification FOR UPDATE SKIP LOCKED`,
        );
        if (state === undefined) return null;
        const scope = { owner: null, isIncremental: true };
        const step = await entriesStep(tx, scope, state.position ?? FROM_THE_START);
        const isPassOver = step.next === null;
        const totals = isPassOver
          ? (await readRow<LedgersStep>(tx, (sql) => selectLedgers(sql, null))).found
          : [];
        await storeCheckpoints(tx, step.verified);
        const ofLedgers = totals.map((one) => ({ ...one, accountId: null }));
        const fresh = await storeDiscrepancies(tx, [...step.discrepancies, ...ofLedgers]);
        if (isPassOver) await forgetBalanced(tx, totals);
        await storePosition(tx, state.position === null, step.next, step.entries);
        return { isPassOver, fresh };
      }),

    async read(signal) {
      const [row] = await db.query(
        (sql) => sql<[BackgroundState]>`
          SELECT passes, entries, started_at, finished_at,
                 coalesce(extract(epoch FROM now() - coalesce(finished_at, started_at)), 0)::float8 AS age_seconds,
                 coalesce((SELECT json_agg(d) FROM (
                   SELECT kind, at, expected, found, found_at AS "foundAt" FROM ledger_discrepancies
                    ORDER BY found_at, kind, at LIMIT ${SHOWN_MAX}) d), '[]') AS discrepancies
            FROM ledger_verification`,
        { signal },
      );
      const discrepancies = row.discrepancies.map((one) => ({ ...one, foundAt: new Date(one.foundAt) }));
      return { ...row, discrepancies };
    },
  };
}

/** In a transaction. Where few accounts have most of the entries, the planner would read all to find those of one. */
async function entriesStep(tx: Queryable, scope: EntriesScope, position: VerificationPosition) {
  await tx.query((sql) => sql`SELECT set_config('enable_seqscan', 'off', true)`);
  const row = await readRow<EntriesRow>(tx, (sql) => selectEntriesStep(sql, scope, position));
  return toEntriesStep(row, position, scope);
}

async function readRow<R extends object>(db: Queryable, select: (sql: FragmentTag) => Fragment): Promise<R> {
  const [row] = await db.query((sql) => sql<[R]>`${select(sql)}`);
  return row;
}

/** About how many entries there are. */
async function countEntries(db: Queryable, owner: string | null): Promise<number> {
  const [row] = await db.query(
    (sql) => sql<[{ entries: number }]>`
      SELECT coalesce(sum(version), 0)::bigint AS entries FROM accounts
       WHERE ${owner === null ? sql`true` : sql`owner = ${owner}`}`,
  );
  return row.entries;
}

/** An account that was right is right up to its version; what was found in it before has been repaired. */
async function storeCheckpoints(tx: Queryable, verified: readonly VerifiedEntries[]): Promise<void> {
  const ids = verified.map(({ accountId }) => accountId);
  const versions = verified.map(({ version }) => version);
  const debits = verified.map((one) => one.debits);
  const credits = verified.map((one) => one.credits);
  await tx.query(
    (sql) => sql`
      INSERT INTO ledger_checkpoints AS c (account_id, version, debits, credits, verified_at)
        SELECT id, version, debits, credits, now()
          FROM unnest(${ids}::uuid[], ${versions}::bigint[], ${debits}::numeric[], ${credits}::numeric[])
            v(id, version, debits, credits)
      ON CONFLICT (account_id) DO UPDATE
        SET version = excluded.version, debits = excluded.debits, credits = excluded.credits, verified_at = now()
      WHERE c.version <> excluded.version`,
  );
  await tx.query((sql) => sql`DELETE FROM ledger_discrepancies WHERE account_id = ANY (${ids}::uuid[])`);
}

type Located = Discrepancy & { readonly accountId: string | null };

/** Stores what was found, up to a bound, and returns what is new. */
async function storeDiscrepancies(tx: Queryable, rows: readonly Located[]): Promise<readonly Discrepancy[]> {
  if (rows.length === 0) return [];
  const column = (name: keyof Located) => rows.map((row) => row[name]);
  return tx.query(
    (sql) => sql<Discrepancy[]>`
      INSERT INTO ledger_discrepancies (kind, at, account_id, expected, found, found_at)
        SELECT DISTINCT ON (kind, at) kind, at, account_id, expected, found, now()
          FROM unnest(${column('kind')}::text[], ${column('at')}::text[], ${column('accountId')}::uuid[],
                      ${column('expected')}::text[], ${column('found')}::text[]) f(kind, at, account_id, expected, found)
         WHERE (SELECT count(*) FROM ledger_discrepancies) < ${DISCREPANCIES_MAX}
      ON CONFLICT DO NOTHING RETURNING kind, at, expected, found`,
  );
}

/** Forgets ledgers that are balanced again. */
async function forgetBalanced(tx: Queryable, unbalanced: readonly Discrepancy[]): Promise<void> {
  const ledgers = unbalanced.map(({ at }) => at);
  await tx.query(
    (sql) => sql`
      DELETE FROM ledger_discrepancies WHERE kind = 'ledger_unbalanced' AND at <> ALL (${ledgers}::text[])`,
  );
}

async function storePosition(
  tx: Queryable,
  isFirst: boolean,
  next: VerificationPosition | null,
  entries: number,
): Promise<void> {
  const position = next && { ...next, partial: next.partial && { ...next.partial } };
  await tx.query(
    (sql) => sql`
      UPDATE ledger_verification
         SET position = ${position && sql.json(position)}, entries = entries + ${entries},
             started_at = CASE WHEN ${isFirst} THEN now() ELSE started_at END,
             finished_at = CASE WHEN ${next === null} THEN now() ELSE finished_at END,
             passes = passes + ${next === null ? 1 : 0}`,
  );
}
