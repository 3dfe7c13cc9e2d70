/** Counts since the process started, for the metrics. */
export interface ExpiryStats {
  readonly expired: number;
  /** How long the oldest hold was past its expiry when this process last released some. */
  readonly overdueSeconds: number;
}

/** What is done to holds in PostgreSQL. */
export interface ExpiryPorts {
  /** Releases up to so many holds that are past their expiry. Returns how many. */
  expire(holdsMax: number): Promise<number>;
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

export function createExpiry({ expire, overdueSeconds, onExpired }: ExpiryPorts): Expiry {
  let expired = 0;
  let overdue = 0;
  return {
    async run() {
      overdue = await overdueSeconds();
      if (overdue === 0) return;
      for (let step = STEP_HOLDS_MAX; step === STEP_HOLDS_MAX; ) {
        const startMs = performance.now();
        step = await expire(STEP_HOLDS_MAX);
        expired += step;
        if (step > 0) onExpired();
        if (step === STEP_HOLDS_MAX) await Bun.sleep(performance.now() - startMs);
      }
    },
    stats: () => ({ expired, overdueSeconds: overdue }),
  };
}
