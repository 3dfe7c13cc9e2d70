/** How far the backfill of balances is, since the process started. */
export interface BackfillStats {
  readonly checkpoints: number;
  readonly isDone: boolean;
}

/** What does one step. */
export interface BackfillPorts {
  backfill(entriesMax: number): Promise<{ isDone: boolean; checkpoints: number }>;
}

/** Writes balances of entries of the releases before, which have none. Requests have at least half of the time. */
export interface Backfill {
  /** In steps. What a killed process did not do, the next one does. */
  run(): Promise<void>;
  stats(): BackfillStats;
}

// A step reads so many entries, in some 10 ms.
const STEP_ENTRIES_MAX = 5000;
// So that a worker that ends does not wait for it: it is run again.
const RUN_MS_MAX = 5000;

export function createBackfill({ backfill }: BackfillPorts): Backfill {
  let checkpoints = 0;
  let isDone = false;
  return {
    async run() {
      const endMs = performance.now() + RUN_MS_MAX;
      while (!isDone && performance.now() < endMs) {
        const startMs = performance.now();
        const step = await backfill(STEP_ENTRIES_MAX);
        checkpoints += step.checkpoints;
        isDone = step.isDone;
        if (!isDone) await Bun.sleep(performance.now() - startMs);
      }
    },
    stats: () => ({ checkpoints, isDone }),
  };
}
