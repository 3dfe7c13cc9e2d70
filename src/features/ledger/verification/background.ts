import type { Discrepancy } from './domain.ts';

/** The verification in the background, as all hosts share it. */
export interface BackgroundState {
  /** Passes over all accounts that have ended. */
  readonly passes: number;
  readonly entries: number;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
  /** Seconds since a pass last ended, or since the first one began; 0 before. */
  readonly ageSeconds: number;
  readonly discrepancies: readonly (Discrepancy & { readonly foundAt: Date })[];
}

/** What one step has done. */
export interface BackgroundStep {
  readonly isPassOver: boolean;
  /** What was not known before. */
  readonly fresh: readonly Discrepancy[];
}

/** Verifies step by step, and remembers what was right, what is wrong, and where it goes on. */
export interface BackgroundRepository {
  /** Returns null if another host is at it. */
  step(): Promise<BackgroundStep | null>;
  read(signal?: AbortSignal): Promise<BackgroundState>;
}

/** Verifies the ledger in the background: what came since the last pass, again and again. */
export interface BackgroundVerification {
  /**
   * Does some steps, and leaves the rest to the next run, of this host or another one. Throws, so that it is logged,
   * if it has found what was not known before.
   */
  run(): Promise<void>;
  read(signal?: AbortSignal): Promise<BackgroundState>;
  /** As of the last run of this process; null before. */
  stats(): Omit<BackgroundState, 'startedAt' | 'finishedAt'> | null;
}

// Of each interval of the job: payments have the rest.
const RUN_MS_MAX = 300;
const NAMED_MAX = 5;

export function createBackgroundVerification({ step, read }: BackgroundRepository): BackgroundVerification {
  let last: BackgroundState | null = null;
  return {
    async run() {
      const endMs = performance.now() + RUN_MS_MAX;
      const fresh: string[] = [];
      let isOver = false;
      while (!isOver && performance.now() < endMs) {
        const done = await step();
        isOver = done === null || done.isPassOver;
        for (const { kind, at, expected, found } of done?.fresh ?? [])
          fresh.push(`${kind} at ${at}: expected ${expected}, found ${found}`);
      }
      last = await read();
      if (fresh.length > 0)
        throw new Error(
          `The ledger is inconsistent: ${fresh.slice(0, NAMED_MAX).join('; ')}${fresh.length > NAMED_MAX ? '; …' : ''}. Run: atlas verify`,
        );
    },
    read,
    stats: () => last,
  };
}
