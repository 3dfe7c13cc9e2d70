import type { Sql } from '../../../src/adapters/postgres/postgres.ts';
import type { TransferRequest } from '../../../src/features/ledger/movement.ts';

/** Posts as release 0.1.0 does: the arguments by position, and the columns by name. Never change this call. */
export async function postAsBefore(sql: Sql, { owner, key, fingerprint, atomic, orders }: TransferRequest) {
  const accounts = [...new Set(orders.flatMap((o) => [o.debitAccountId, o.creditAccountId]))].sort();
  const numberOf = (id: string) => accounts.indexOf(id) + 1;
  const list = (values: readonly (string | number | boolean)[]) => `{${values.join(',')}}`;
  const [row] = await sql<
    [{ states: string[]; outcomes: (string | null)[] }]
  >`SELECT posted_at, extract(epoch FROM posted_at - statement_timestamp())::float8 * 1000 AS waited_ms,
           to_json(states) AS states, to_json(outcomes) AS outcomes,
           to_json(transfer_ids) AS transfer_ids, to_json(ledgers) AS ledgers
    FROM post_transfers(
      ${`{"${owner}"}`}::text[], ${`{"${key}"}`}::text[], ${`{"\\\\x${fingerprint}"}`}::bytea[],
      ${list([atomic])}::boolean[], ${list(accounts)}::uuid[], ${list(orders.map(() => 1))}::int[],
      ${list(orders.map(({ id }) => id))}::uuid[],
      ${list(orders.map(({ debitAccountId }) => numberOf(debitAccountId)))}::int[],
      ${list(orders.map(({ creditAccountId }) => numberOf(creditAccountId)))}::int[],
      ${list(orders.map(({ amount }) => amount))}::bigint[],
      ${list(orders.map(() => 'NULL'))}::text[], ${`{${orders.map(() => '"{}"').join(',')}}`}::jsonb[])`;
  const [state] = row.states;
  return { state: state!, outcomes: state === 'reused' ? null : row.outcomes };
}
