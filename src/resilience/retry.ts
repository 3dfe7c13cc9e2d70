const FIRST_WAIT_MS = 100;
const WAIT_MS_MAX = 400;
/** Tokens that each call deposits: retries are at most this share of the calls. */
const DEPOSIT = 0.2;
/** Tokens of a full budget: retries that are available before any deposit. */
const RESERVE = 10;

/** Returns the wait before a retry: 100, 200, 400 ms with full jitter (Brooker, Exponential Backoff And Jitter). */
export function backoffMs(retry: number, random: () => number = Math.random): number {
  return random() * Math.min(WAIT_MS_MAX, FIRST_WAIT_MS * 2 ** (retry - 1));
}

/**
 * A retry budget (Finagle's RetryBudget, gRPC's retry throttling): a token bucket shared by all calls to a dependency.
 * A call deposits a fifth of a token and a retry costs one, so retries never amplify an outage by more than 1.2.
 */
export class RetryBudget {
  #tokens = RESERVE;

  /** Records the first attempt of a call. */
  deposit(): void {
    this.#tokens = Math.min(RESERVE, this.#tokens + DEPOSIT);
  }

  /** Pays for a retry. Returns false if the budget is exhausted. */
  withdraw(): boolean {
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
