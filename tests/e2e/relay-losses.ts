import type { Sql } from '../../src/adapters/postgres/postgres.ts';
import type { SentEvent } from '../support/topic.ts';

/** Counts that must be 0, whatever was killed. */
export interface Losses {
  /** Posted transfers that lack an event in the topic. */
  readonly lost: number;
  /** Transfers in the topic that PostgreSQL does not have. */
  readonly invented: number;
  /** Events out of order or after a gap, after deduplication by id. */
  readonly disordered: number;
  /** Events that only the topic or only the log in PostgreSQL has. */
  readonly mismatched: number;
  /** Parked keys. */
  readonly parked: number;
  readonly effectsMissing: number;
  readonly effectsDoubled: number;
}

/** Compares the topic with PostgreSQL, and with the transfers that callers saw acknowledged. */
export async function compareEvents(
  sql: Sql,
  sent: readonly SentEvent[],
  posted: ReadonlySet<string>,
): Promise<Losses> {
  const sides = new Map<string, Set<string>>();
  const lastByKey = new Map<string, number>();
  const ids = new Set<string>();
  let disordered = 0;
  for (const { id, subject, sequence, type, data } of sent) {
    if (ids.has(id)) continue;
    ids.add(id);
    // An account is opened with event 0; files and webhooks begin with event 1.
    const last = lastByKey.get(subject) ?? (type.startsWith('account.') ? -1 : 0);
    if (Number(sequence) !== last + 1) disordered++;
    lastByKey.set(subject, Number(sequence));
    const { transferId } = data;
    if (typeof transferId === 'string') sides.set(transferId, (sides.get(transferId) ?? new Set()).add(type));
  }
  const stored = (await sql`SELECT key || ':' || sequence AS id FROM events`).map(({ id }) => id as string);
  const known = new Set((await sql`SELECT id FROM transfers`).map(({ id }) => id as string));
  const [counted] = await sql<[{ parked: number; effects: number; doubled: number }]>`
    SELECT (SELECT count(*) FROM parked_keys) AS parked, (SELECT count(*) FROM chaos_effects) AS effects,
           (SELECT count(*) FROM chaos_effects WHERE times > 1) AS doubled`;
  const storedIds = new Set(stored);
  return {
    // A transfer that was posted but not acknowledged counts too: PostgreSQL has it.
    lost: [...new Set([...posted, ...known])].filter((id) => sides.get(id)?.size !== 2).length,
    invented: [...sides.keys()].filter((id) => !known.has(id)).length,
    disordered,
    mismatched:
      [...ids].filter((id) => !storedIds.has(id)).length + stored.filter((id) => !ids.has(id)).length,
    parked: counted.parked,
    effectsMissing: stored.length - counted.effects,
    effectsDoubled: counted.doubled,
  };
}

/** The result of a run that lost nothing. */
export const NO_LOSSES: Losses = {
  lost: 0,
  invented: 0,
  disordered: 0,
  mismatched: 0,
  parked: 0,
  effectsMissing: 0,
  effectsDoubled: 0,
};
