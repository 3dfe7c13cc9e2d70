import type { FragmentTag, Queryable } from '../../../adapters/postgres/query.ts';
import type { AgePosition } from '../age-cursor.ts';
import { createdMicros, nextByAge, positionOf } from '../age-order.ts';

/** What an organization has agreed on and set, apart from its accounts. `tx` is a snapshot. */
export interface TermsExport {
  /** Templates of accounts, by name. */
  templates(tx: Queryable, owner: string): Lines;
  /** Limits across accounts, oldest first. */
  limits(tx: Queryable, owner: string): Lines;
  /** Exchanges of the accounts of the owner that were its own then, oldest first. */
  exchanges(tx: Queryable, owner: string): Lines;
}

type Lines = AsyncGenerator<readonly object[], void, undefined>;

const PAGE_ROWS = 1000;
// A template has up to 1 MiB, and the group of a limit up to 1,000 accounts.
const LARGE_ROWS = 20;
const OLDEST: AgePosition = { createdMicros: 0n, id: '00000000-0000-0000-0000-000000000000' };

export function createTermsExport(): TermsExport {
  return {
    async *templates(tx, owner) {
      for (let after = ''; ; ) {
        const rows = await tx.query(
          (sql) => sql<{ name: string }[]>`
            SELECT name, version, title, accounts FROM account_templates WHERE owner = ${owner} AND name > ${after}
            ORDER BY name LIMIT ${LARGE_ROWS}`,
        );
        yield rows.map((row) => ({ type: 'accountTemplate', ...row }));
        if (rows.length < LARGE_ROWS) return;
        after = rows.at(-1)!.name;
      }
    },
    limits: (tx, owner) =>
      byAge('limit', LARGE_ROWS, (after) =>
        tx.query(
          (sql) => sql<AgedRow[]>`
            SELECT id, name, ledger, counts, counts_internal, set_by, created_at, ${createdMicros(sql)},
              json_strip_nulls(json_build_object('transferAmount', transfer_amount_max, 'hourAmount', hour_amount_max,
                'hourCount', hour_count_max, 'dayAmount', day_amount_max, 'dayCount', day_count_max,
                'totalAmount', total_amount_max)) AS maxima,
              CASE scope WHEN 'accounts' THEN to_json(ARRAY(
                SELECT account_id FROM limit_accounts WHERE limit_id = id ORDER BY account_id)) END AS account_ids
            FROM limits
            WHERE owner = ${owner} AND deleted_at IS NULL AND (created_at, id) > ${positionOf(tag(sql), after)}
            ORDER BY created_at, id LIMIT ${LARGE_ROWS}`,
        ),
      ),
    exchanges: (tx, owner) =>
      byAge('exchange', PAGE_ROWS, (after) =>
        tx.query(
          (sql) => sql<AgedRow[]>`
            SELECT id, source_transfer_id, target_transfer_id, debit_account_id, source_liquidity_account_id,
              target_liquidity_account_id, credit_account_id, source_ledger, target_ledger, source_amount,
              target_amount, trim_scale(rate)::text AS rate, rounding, fixed_side,
              trim_scale(remainder)::text AS remainder, created_at, ${createdMicros(sql)}
            FROM (SELECT DISTINCT e.created_at AS exchanged_at, e.exchange_id
              FROM accounts a JOIN account_exchanges e ON e.account_id = a.id
              WHERE a.owner = ${owner} AND (e.created_at, e.exchange_id) > ${positionOf(tag(sql), after)}
              ORDER BY 1, 2 LIMIT ${PAGE_ROWS}) own
            JOIN exchanges x ON x.id = own.exchange_id ORDER BY created_at, id`,
        ),
      ),
  };
}

interface AgedRow {
  readonly id: string;
  readonly createdAt: Date;
  readonly createdMicros: number;
}

async function* byAge(
  type: string,
  rowsMax: number,
  read: (after: AgePosition) => Promise<readonly AgedRow[]>,
): Lines {
  for (let after: AgePosition | null = OLDEST; after !== null; ) {
    const rows: readonly AgedRow[] = await read(after);
    yield rows.map(({ createdAt, createdMicros: _, ...row }) => ({
      type,
      ...row,
      createdAt: createdAt.toISOString(),
    }));
    after = nextByAge(rows, rows.length === rowsMax);
  }
}

function tag(sql: unknown): FragmentTag {
  return sql as FragmentTag;
}
