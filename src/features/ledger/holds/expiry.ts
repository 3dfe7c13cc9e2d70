/** Counts since the process started, for the metrics. */
export interface ExpiryStats {
  readonly expired: number;
  /** How long the oldest hold was past its expiry when this process last released some. */
  readonly overdueSeconds: number;
}

/** What is done to holds in PostgreSQL. */
export interface ExpiryPorts {
  /** Returns up to so many holds that are past their expiry. Owners take turns. */
  due(holdsMax: number): Promise<string[]>;
  /** Releases those of the holds that are past their expiry. Returns how many. */
  expire(ids: readonly string[]): Promise<number>;
  overdueSeconds(): Promise<number>;
  /** Called after each step, so that its events are sent without delay. */
  onExpired(): void;
}

/**
 * Releases what holds reserve that are past their expiry, by the clock of the database. However many they are, payments
 * have at least half of the time.
 */
export interface Expiry {
  /** In steps, so that payments go on between them. What a killed process did not do, the next one does. */
  run(): Promise<void>;
  stats(): ExpiryStats;
}

// A step has the lock of posting for some milliseconds.
const STEP_HOLDS_MAX = 200;
// After so many, owners whose holds have become due meanwhile get their turn.
const ROUND_HOLDS_MAX = 2000;

export function createExpiry({ due, expire, overdueSeconds, onExpired }: ExpiryPorts): Expiry {
  let expired = 0;
  let overdue = 0;
  return {
    async run() {
      overdue = await overdueSeconds();
      if (overdue === 0) return;
      for (let round = ROUND_HOLDS_MAX; round === ROUND_HOLDS_MAX; ) {
        const ids = await due(ROUND_HOLDS_MAX);
        round = ids.length;
        for (let from = 0; from < round; from += STEP_HOLDS_MAX) {
          const startMs = performance.now();
          const step = await expire(ids.slice(from, from + STEP_HOLDS_MAX));
          // Another host releases them.
          if (step === 0) return;
          expired += step;
          onExpired();
          if (from + STEP_HOLDS_MAX < round || round === ROUND_HOLDS_MAX)
            await Bun.sleep(performance.now() - startMs);
        }
      }
    },
    stats: () => ({ expired, overdueSeconds: overdue }),
  };
}
