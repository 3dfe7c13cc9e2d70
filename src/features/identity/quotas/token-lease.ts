import { capacityOf } from '../quota.ts';
import { type QuotaGrant, type QuotaReport, REPORT_MS, VALID_MS } from './protocol.ts';

const DEMAND_RETAINED = 0.75;
const DEMAND_MARGIN = 1.5;
const WINDOW_INTERVALS_MAX = 2;
// Half of the capacity stays in the account, for the worker that needs it.
const IDLE_PART = 0.5;

/** What a report says about tokens. */
export type TokenReport = Pick<QuotaReport, 'rate' | 'capacity' | 'kept' | 'returned' | 'owed' | 'wanted'>;

/** What a report says about tokens of a quota without a rate. */
export const NO_TOKENS: TokenReport = { rate: 0, capacity: 0, kept: 0, returned: 0, owed: 0, wanted: 0 };

/**
 * The tokens of one quota on one worker: one is taken for each request. They are granted ahead by the account (a token
 * bucket that all workers share), as many as the requests of late need. Without a grant that is valid, when it is cold
 * or cut off from Redis, a worker takes from its share of the rate, and the account is charged later.
 */
export class TokenLease {
  #rate = 0;
  #burst = 0;
  #capacity = 0;
  #workers = 1;
  #tokens = 0;
  #validUntilMs = Number.NEGATIVE_INFINITY;
  /** While the quota is used up, tokens are spread over the interval of reports. */
  #spacingMs = 0;
  #nextAtMs = 0;
  #target = 0;
  #wanted = 0;
  #isShort = false;
  #wasShort = false;
  #shareTokens = Number.POSITIVE_INFINITY;
  #shareAtMs = 0;
  #isOfShare = false;
  #owed = 0;
  #owedInReport = 0;
  #arrivals = 0;
  #windowMs = 0;
  #intervalMs = REPORT_MS;
  /** Requests in {@link REPORT_MS}. */
  #demand = 0;

  /** Requests that were served on the share. */
  shareCount = 0;

  setQuota(rate: number, burst: number, workers: number): void {
    this.#rate = rate;
    this.#burst = burst;
    this.#workers = Math.max(1, workers);
    this.#capacity = capacityOf(rate, burst, this.#workers);
    this.#shareTokens = Math.min(this.#shareTokens, this.#shareCapacity);
  }

  get rate(): number {
    return this.#rate;
  }

  /** Whether the account had fewer tokens than this worker wanted. */
  get isShort(): boolean {
    return this.#isShort;
  }

  /** Whether it had requests of late, and may keep tokens that it no longer needs. */
  get isCooling(): boolean {
    return this.#demand > 1;
  }

  /** Whether more tokens should be fetched now, and not only at the next interval. */
  get isLow(): boolean {
    return !this.#isShort && this.#tokens * 2 <= this.#target;
  }

  /** Takes a token. Returns false if there is none at this time. */
  take(nowMs: number): boolean {
    this.#arrivals++;
    if (nowMs >= this.#validUntilMs) return this.#takeOfShare(nowMs);
    if (this.#tokens < 1 || nowMs < this.#nextAtMs) return false;
    this.#isOfShare = false;
    this.#tokens--;
    this.#nextAtMs += this.#spacingMs;
    return true;
  }

  /** Puts the token that was taken last back, before another one is taken. */
  putBack(): void {
    if (this.#isOfShare) {
      this.#shareTokens++;
      this.#owed--;
      this.shareCount--;
    } else {
      this.#tokens++;
      this.#nextAtMs -= this.#spacingMs;
    }
  }

  /**
   * What to send to the account, to use until the report after this interval. Tokens beyond what is needed go back, all
   * of them if the worker is leaving.
   */
  report(nowMs: number, isLeaving: boolean, intervalMs: number): TokenReport {
    // Others lack tokens.
    const isUnneeded = this.#isShort && this.#arrivals === 0;
    this.#updateDemand(nowMs);
    this.#intervalMs = intervalMs;
    const capacity = capacityOf(this.#rate, this.#burst, this.#workers, intervalMs);
    const needed = Math.ceil(((this.#demand * intervalMs) / REPORT_MS) * DEMAND_MARGIN) + 1;
    const idle = Math.floor((capacity * IDLE_PART) / this.#workers);
    this.#target = isLeaving || isUnneeded ? 0 : Math.min(Math.floor(capacity), Math.max(needed, idle));
    const kept = nowMs < this.#validUntilMs ? Math.min(this.#tokens, this.#target) : 0;
    const returned = this.#tokens - kept;
    this.#tokens = kept;
    this.#wanted = this.#target - kept;
    this.#owedInReport = this.#owed;
    this.#owed = 0;
    return {
      rate: this.#rate,
      capacity,
      kept,
      returned,
      owed: this.#owedInReport,
      wanted: this.#wanted,
    };
  }

  accept({ granted }: QuotaGrant, sentMs: number, nowMs: number): void {
    this.#owedInReport = 0;
    this.#tokens += granted;
    this.#wasShort = this.#isShort;
    this.#isShort = granted < this.#wanted;
    this.#spacingMs = this.#isShort && this.#tokens > 0 ? this.#intervalMs / this.#tokens : 0;
    this.#nextAtMs = nowMs;
    this.#validUntilMs = sentMs + VALID_MS;
    this.#shareTokens = 0;
    this.#shareAtMs = nowMs;
  }

  /** The report failed: it may still be charged, but not granted. Uses the share from here on. */
  fail(): void {
    // Charged twice is on the safe side; more than the capacity would block the quota for long.
    this.#owed = Math.min(this.#owed + this.#owedInReport, this.#capacity);
    this.#owedInReport = 0;
    this.lapse();
  }

  /** Forgets what was granted. */
  lapse(): void {
    this.#tokens = 0;
    this.#validUntilMs = Number.NEGATIVE_INFINITY;
  }

  /** Everything went back to the account: the next requests start on the share, in full if the quota has some left. */
  leave(): void {
    this.lapse();
    if (!this.#wasShort) this.#shareTokens = this.#shareCapacity;
  }

  get #shareCapacity(): number {
    return Math.max(1, this.#capacity / this.#workers);
  }

  #updateDemand(nowMs: number): void {
    const elapsedMs = nowMs - this.#windowMs;
    if (elapsedMs < REPORT_MS) {
      this.#demand = Math.max(this.#demand, this.#arrivals);
      return;
    }
    // After a quiet time, what arrived may all have arrived just now.
    const arrived =
      (this.#arrivals * REPORT_MS) / Math.min(elapsedMs, WINDOW_INTERVALS_MAX * this.#intervalMs);
    this.#demand = Math.max(arrived, this.#demand * DEMAND_RETAINED ** (elapsedMs / REPORT_MS));
    this.#arrivals = 0;
    this.#windowMs = nowMs;
  }

  #takeOfShare(nowMs: number): boolean {
    const refilled = ((nowMs - this.#shareAtMs) / 1000) * (this.#rate / this.#workers);
    this.#shareTokens = Math.min(this.#shareCapacity, this.#shareTokens + Math.max(0, refilled));
    this.#shareAtMs = nowMs;
    if (this.#shareTokens < 1) return false;
    this.#isOfShare = true;
    this.#shareTokens--;
    this.#owed = Math.min(this.#owed + 1, this.#capacity);
    this.shareCount++;
    return true;
  }
}
