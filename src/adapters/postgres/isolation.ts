import type { Database } from './database.ts';
import type { Fragment, FragmentTag } from './query.ts';

/** Whether organizations are isolated, and what stands in the way of that. */
export interface IsolationState {
  readonly isOn: boolean;
  /** Whether a host of a release that does not isolate is known to be running. */
  readonly hasFormerHosts: boolean;
}

/** How often a worker reads whether isolation is on, and for how long it relies on that. */
export const REFRESH_MS = 2000;
const VALID_MS = 4000;

/**
 * Returns the condition that organizations see only what is theirs. It is a row of the database, because all hosts must
 * agree; PostgreSQL reads it once per query.
 */
export function isolates(sql: FragmentTag): Fragment {
  return sql`(SELECT isolates_owners FROM transfer_id_secret)`;
}

/** What a worker knows about isolation without asking PostgreSQL each time. Queries decide by {@link isolates}. */
export class Isolation {
  readonly #database: Pick<Database, 'query'>;
  #wasOn = true;
  #epoch = 0;
  #readMs = Number.NEGATIVE_INFINITY;

  constructor(database: Pick<Database, 'query'>) {
    this.#database = database;
  }

  /**
   * Names what an owner sees, for caches: the same for all owners while isolation is off. It changes with each switch
   * and when accounts are moved. Null if what is known is older than {@link VALID_MS}: then nothing may be read from a
   * cache, which could hold what the owner no longer sees.
   */
  viewOf(owner: string): string | null {
    if (performance.now() - this.#readMs > VALID_MS) return null;
    return this.#wasOn ? `${this.#epoch}/${owner}` : `${this.#epoch}`;
  }

  /** Reads whether it is on. Throws like `Database.query`. */
  async isOn(signal?: AbortSignal): Promise<boolean> {
    const sentMs = performance.now();
    const [row] = await this.#database.query(
      (sql) => sql<[{ isOn: boolean; epoch: number }]>`
        SELECT isolates_owners AS is_on, isolation_epoch AS epoch FROM transfer_id_secret`,
      { signal },
    );
    // A read that was overtaken must not undo a later one.
    if (sentMs < this.#readMs) return row.isOn;
    this.#wasOn = row.isOn;
    this.#epoch = row.epoch;
    this.#readMs = sentMs;
    return row.isOn;
  }

  /** Reads it for {@link viewOf}, where an outage is nothing to report. */
  async refresh(): Promise<void> {
    await this.isOn().catch(() => {});
  }
}

/** Reads the state of isolation. Throws like `Database.query`. */
export async function readIsolation(db: Pick<Database, 'query'>): Promise<IsolationState> {
  // A release that does not isolate leaves the column of its incarnations false, or has none and holds the relay alone.
  const [row] = await db.query(
    (sql) => sql<[IsolationState]>`
      SELECT ${isolates(sql)} AS is_on,
             EXISTS (SELECT FROM incarnations WHERE NOT isolates AND expires_at > clock_timestamp())
             OR EXISTS (SELECT FROM relay WHERE expires_at > clock_timestamp()
                  AND epoch IS DISTINCT FROM incarnation_epoch) AS has_former_hosts`,
  );
  return row;
}
