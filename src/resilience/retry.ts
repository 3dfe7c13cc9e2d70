const FIRST_WAIT_MS = 100;
const WAIT_MS_MAX = 400;
/** What each call pays in, so that retries are at most this share of the calls. */
const DEPOSIT = 0.2;
/** What a fresh or rested budget holds: retries that are there before calls have paid for them. */
const RESERVE = 10;

/** The wait before a retry: 100, 200, 400 ms with full jitter (Brooker, Exponential Backoff And Jitter). */
export function backoffMs(retry: number, random: () => number = Math.random): number {
  return random() * Math.min(WAIT_MS_MAX, FIRST_WAIT_MS * 2 ** (retry - 1));
}

/**
 * A retry budget (Finagle's RetryBudget, gRPC's retry throttling): a bucket of tokens over all calls of a dependency. A
 * call pays in a fifth of a token and a retry costs one, so an outage is never multiplied by more than 1.2.
 */
export class RetryBudget {
  #tokens = RESERVE;

  /** A call is made, for the first time. */
  deposit(): void {
    this.#tokens = Math.min(RESERVE, this.#tokens + DEPOSIT);
  }

  /** Takes what a retry costs; false when it is not there. */
  withdraw(): boolean {
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
