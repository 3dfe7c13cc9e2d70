/** Properties of a resource that are known in advance. */
export interface ResourceTraits {
  /**
   * The longest that requests of the most important tier should take, in milliseconds. For a resource that works in
   * batches: it takes longer the more it has to do, but is the more efficient, so its baseline says little.
   */
  readonly budgetMs?: number;
  /** Concurrency to allow every tier in any case. */
  readonly inFlightMin?: number;
  /** Concurrency to allow every tier before a standing queue was seen, or if the smallest batch takes too long. */
  readonly burstMin?: number;
  /** Returns the time that even a small batch has recently taken, in milliseconds. */
  readonly leastMs?: () => number;
}

// While the event loop is late, requests and replies also wait in their sockets.
const LATE_LOOP_SHARE = 0.6;

/** With a share of the budget above this for even a small batch, fewer requests would not be faster. */
export const SLOW_SHARE = 0.5;

/** Returns the longest that requests may take at a resource with a budget, in milliseconds. */
export function longestOf(budgetMs: number, isLoopLate: boolean): number {
  return isLoopLate ? budgetMs * LATE_LOOP_SHARE : budgetMs;
}
