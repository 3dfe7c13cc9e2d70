import { type AtlasEvent, transferData } from '../../utils/event.ts';
import type { Database } from '../postgres/database.ts';
import { isolates } from '../postgres/isolation.ts';
import type { FragmentTag } from '../postgres/query.ts';

/** An event as it is stored: the data of a transfer is in `transfers`, any other event has its own. */
export interface EventRow {
  readonly owner: string;
  readonly type: string;
  readonly key: string;
  readonly sequence: number;
  readonly occurredAt: Date;
  readonly transferId: string | null;
  readonly data: Readonly<Record<string, unknown>> | null;
  readonly debitAccountId: string;
  readonly creditAccountId: string;
  readonly ledger: string;
  readonly amount: number;
  readonly reference: string | null;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Returns the columns of an {@link EventRow}, for `events` or `parked_events` AS e with {@link joinTransfers}. A
 * payee does not see the metadata of a payer of another organization.
 */
export function eventColumns(sql: FragmentTag) {
  return sql`e.owner, e.type, e.key, e.sequence, e.occurred_at, e.transfer_id, e.data,
    t.debit_account_id, t.credit_account_id, t.ledger, t.amount, t.reference,
    CASE WHEN e.type = 'account.credited.v1' AND ${isolates(sql)}
           AND (SELECT a.owner FROM accounts a WHERE a.id = t.debit_account_id) <> e.owner
      THEN '{}' ELSE t.metadata END AS metadata`;
}

/** What an event has as JSON, from {@link eventColumns}: the part that can be large, and about how much besides. */
export function eventSize(sql: FragmentTag) {
  return { document: sql`coalesce(data, metadata)`, otherBytes: 600 };
}

/** Joins by one probe per row: for a few hundred rows the planner would prefer to scan whole tables. */
export function joinTransfers(sql: FragmentTag) {
  return sql`LEFT JOIN LATERAL (SELECT * FROM transfers WHERE id = e.transfer_id LIMIT 1) t ON true`;
}

export function toEvent(row: EventRow): AtlasEvent {
  const { owner, type, key, sequence, occurredAt, transferId, data } = row;
  return {
    owner,
    type,
    key,
    sequence,
    occurredAt: occurredAt.toISOString(),
    data:
      transferId === null
        ? data!
        : transferData(type === 'account.debited.v1' ? 'debit' : 'credit', { ...row, transferId }),
  };
}

/** The last event of an owner that was deleted after its retention. */
export interface ExpiredEvent {
  readonly position: number;
  readonly occurredAt: Date;
}

/** Returns the last event of the owner that was deleted after its retention, or null if none was. */
export async function lastExpired(
  db: Pick<Database, 'query'>,
  owner: string,
  signal?: AbortSignal,
): Promise<ExpiredEvent | null> {
  const [row] = await db.query(
    (sql) => sql<ExpiredEvent[]>`
      SELECT position, occurred_at FROM forgotten_events WHERE owner = ${owner}`,
    { signal },
  );
  return row ?? null;
}
