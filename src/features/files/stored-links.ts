import { AtlasError } from '../../errors.ts';

/** Counts the links of an owner that are stored for retries. */
export interface StoredLinks {
  /** Counts one more. Throws `overloaded`. */
  add(owner: string): void;
}

/**
 * Bounds the links of one owner that are stored at once, in this process: at most `max` in the time that they are stored
 * for, and in the one before. Links without an Idempotency-Key are not stored, and not counted.
 */
export function boundStoredLinks(max: number, storedSeconds: number): StoredLinks {
  let turnsAtMs = 0;
  let present = new Map<string, number>();
  let before = new Map<string, number>();
  return {
    add(owner) {
      const nowMs = performance.now();
      if (nowMs >= turnsAtMs) {
        before = nowMs < turnsAtMs + storedSeconds * 1000 ? present : new Map();
        present = new Map();
        turnsAtMs = nowMs + storedSeconds * 1000;
      }
      const count = present.get(owner) ?? 0;
      if (count + (before.get(owner) ?? 0) >= max) {
        const retryAfterSeconds = Math.ceil((turnsAtMs - nowMs) / 1000);
        throw new AtlasError(
          'overloaded',
          `You have ${max} links that are stored for retries, which is the maximum. Create links without Idempotency-Key.`,
          { retryAfterSeconds },
        );
      }
      present.set(owner, count + 1);
    },
  };
}
