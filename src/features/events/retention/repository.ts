import type { Database } from '../../../adapters/postgres/database.ts';

/** The result of one step. */
export interface Forgotten {
  /** How many events were deleted. */
  readonly forgotten: number;
  /** How long the oldest event is past its retention; null while another process deletes events. */
  readonly overdueSeconds: number | null;
  /** The consumer that has not read it, or `none` if there is no consumer; null if it is not overdue. */
  readonly unreadBy: string | null;
}

/** Parked events of one key that were deleted. */
export interface ForgottenParked {
  readonly parkedKey: string;
  readonly forgotten: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
}

/** Deletes events after their retention. */
export interface RetentionRepository {
  /** Deletes the oldest events of the log, up to the first one that is too young or unread. */
  forget(days: number, rowsMax: number): Promise<Forgotten>;
  /** Deletes the oldest parked events of one key. Returns null if there are none to delete. */
  forgetParked(days: number, rowsMax: number): Promise<ForgottenParked | null>;
}

export function createRetentionRepository(db: Database): RetentionRepository {
  return {
    async forget(days, rowsMax) {
      const [row] = await db.query(
        (sql) => sql<[Forgotten]>`
        SELECT forgotten, overdue_seconds, unread_by FROM forget_events(${days}, ${rowsMax})`,
      );
      return row;
    },
    async forgetParked(days, rowsMax) {
      const [row] = await db.query(
        (sql) => sql<[ForgottenParked | { parkedKey: null }]>`
        SELECT parked_key, forgotten, first_sequence, last_sequence FROM forget_parked_events(${days}, ${rowsMax})`,
      );
      return row.parkedKey === null ? null : row;
    },
  };
}
