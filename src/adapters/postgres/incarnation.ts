import type { Database } from './database.ts';

/** How long an incarnation is alive after a renewal, by the clock of PostgreSQL. */
export const ALIVE_MS = 4000;
const RENEW_MS = 1000;
// While PostgreSQL was unavailable nobody could renew. Soon after it is back, all that are alive have.
const STEADY_MS = 2500;

/**
 * This process as the holder of leases in PostgreSQL. A lease that names it ends soon after it has died: at once if its
 * supervisor reports that, otherwise when it has not been renewed for {@link ALIVE_MS}. One that is wrongly believed
 * dead must do no harm, so what it holds also has a token that grows with each holder (after Gray and Cheriton).
 */
export class Incarnation {
  readonly #database: Pick<Database, 'query'>;
  readonly #id: string;
  #renewal: Promise<void> | null = null;
  #renewedMs = Number.NEGATIVE_INFINITY;
  #steadySinceMs = 0;
  #timer: Timer | null = null;
  #isClosed = false;

  /** The id is unique among all processes, past ones included. */
  constructor(database: Pick<Database, 'query'>, id: string = crypto.randomUUID()) {
    this.#database = database;
    this.#id = id;
  }

  /**
   * Returns the id to put into a lease, once PostgreSQL knows it as alive. From the first call on it is renewed every
   * second. Throws like `Database.query`.
   */
  async hold(): Promise<string> {
    if (this.#timer === null && !this.#isClosed) {
      this.#timer = setInterval(() => void this.#renew().catch(() => {}), RENEW_MS);
      this.#timer.unref();
    }
    if (performance.now() - this.#renewedMs > ALIVE_MS / 2) await this.#renew();
    return this.#id;
  }

  /** Whether the silence of others proves that they are dead: not just after an outage. Throws like {@link hold}. */
  async canJudge(): Promise<boolean> {
    await this.hold();
    return performance.now() - this.#steadySinceMs > STEADY_MS;
  }

  /** Returns those of the ids whose processes are known to have died. Throws like {@link hold}. */
  async deadAmong(ids: readonly string[]): Promise<readonly string[]> {
    const silentToo = await this.canJudge();
    const rows = await this.#database.query(
      (sql) => sql<{ id: string }[]>`
      SELECT id FROM unnest(${ids as string[]}::text[]) AS held(id) WHERE NOT EXISTS (SELECT FROM incarnations i
        WHERE i.id = held.id AND (i.expires_at > clock_timestamp() OR NOT ${silentToo}))`,
    );
    return rows.map(({ id }) => id);
  }

  /** Frees everything that a process held, because it has exited. Throws like `Database.query`. */
  async reap(id: string): Promise<void> {
    await this.#database.query((sql) => sql`DELETE FROM incarnations WHERE id = ${id}`);
  }

  /** Frees everything that this process held. Never rejects: otherwise it expires on its own. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer === null) return;
    clearInterval(this.#timer);
    await this.#renewal?.catch(() => {});
    await this.reap(this.#id).catch(() => {});
  }

  /** Renews, once for all calls that arrive together. */
  #renew(): Promise<void> {
    this.#renewal ??= this.#send().finally(() => {
      this.#renewal = null;
    });
    return this.#renewal;
  }

  async #send(): Promise<void> {
    const sentMs = performance.now();
    await this.#database.query(
      (sql) => sql`
      WITH gone AS (
        -- The rows of hosts that were lost.
        DELETE FROM incarnations WHERE expires_at < clock_timestamp() - interval '1 hour' AND id <> ${this.#id}
      )
      INSERT INTO incarnations (id, expires_at, isolates)
      VALUES (${this.#id}, clock_timestamp() + ${ALIVE_MS} * interval '1 millisecond', true)
      ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at`,
    );
    if (sentMs - this.#renewedMs > ALIVE_MS / 2) this.#steadySinceMs = sentMs;
    this.#renewedMs = sentMs;
  }
}
