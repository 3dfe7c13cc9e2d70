import type { Sql } from '../../src/adapters/postgres/postgres.ts';
import type { SentEvent } from '../support/topic.ts';

/** What must be nothing, whatever was killed. */
export interface Losses {
  /** Transfers that were acknowledged and have not both of their events in the topic. */
  readonly lost: number;
  /** Events in the topic of transfers that PostgreSQL does not know. */
  readonly invented: number;
  /** Events that came before the one in front of them, or behind a gap, what came twice left out. */
  readonly disordered: number;
  /** Events of the topic that the log in PostgreSQL lacks, or the other way round. */
  readonly unlike: number;
  /** Keys that stopped. */
  readonly parked: number;
  readonly effectsMissing: number;
  readonly effectsDoubled: number;
}

/** Compares the topic with PostgreSQL, and with what callers were told. */
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
    const last = lastByKey.get(subject) ?? -1;
    if (Number(sequence) !== last + 1) disordered++;
    lastByKey.set(subject, Number(sequence));
    const { transferId } = data;
    if (typeof transferId === 'string') sides.set(transferId, (sides.get(transferId) ?? new Set()).add(type));
  }
  const kept = (await sql`SELECT key || ':' || sequence AS id FROM events`).map(({ id }) => id as string);
  const known = new Set((await sql`SELECT id FROM transfers`).map(({ id }) => id as string));
  const [counted] = await sql<[{ parked: number; effects: number; doubled: number }]>`
    SELECT (SELECT count(*) FROM parked_keys) AS parked, (SELECT count(*) FROM chaos_effects) AS effects,
           (SELECT count(*) FROM chaos_effects WHERE times > 1) AS doubled`;
  const keptIds = new Set(kept);
  return {
    // What was posted and not acknowledged counts too: PostgreSQL has it.
    lost: [...new Set([...posted, ...known])].filter((id) => sides.get(id)?.size !== 2).length,
    invented: [...sides.keys()].filter((id) => !known.has(id)).length,
    disordered,
    unlike: [...ids].filter((id) => !keptIds.has(id)).length + kept.filter((id) => !ids.has(id)).length,
    parked: counted.parked,
    effectsMissing: kept.length - counted.effects,
    effectsDoubled: counted.doubled,
  };
}

/** Nothing of what must not be. */
export const NO_LOSSES: Losses = {
  lost: 0,
  invented: 0,
  disordered: 0,
  unlike: 0,
  parked: 0,
  effectsMissing: 0,
  effectsDoubled: 0,
};
