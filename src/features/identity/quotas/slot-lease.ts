import { type QuotaGrant, type QuotaReport, VALID_MS } from './protocol.ts';

const PEAK_MARGIN = 1.5;
const IDLE_PART = 0.5;

/** What a report says about concurrent requests. */
export type SlotReport = Pick<QuotaReport, 'concurrentMax' | 'claimed' | 'wantedInFlight'>;

/** What a report says about concurrent requests of a quota without a limit. */
export const NO_SLOTS: SlotReport = { concurrentMax: 0, claimed: 0, wantedInFlight: 0 };

/**
 * The concurrent requests of one quota on one worker. The account leases them to the workers that need them; without a
 * valid lease, a worker uses its share, and at least one.
 */
export class SlotLease {
  #max = Number.POSITIVE_INFINITY;
  #workers = 1;
  #lease = 0;
  #validUntilMs = Number.NEGATIVE_INFINITY;
  #inFlight = 0;
  #peak = 0;
  #wanted = 0;
  #isShort = false;

  /** Without a limit (null), requests are only counted, so that the count is right when there is one again. */
  setQuota(concurrentMax: number | null, workers: number): void {
    this.#max = concurrentMax ?? Number.POSITIVE_INFINITY;
    this.#workers = Math.max(1, workers);
  }

  get isLimited(): boolean {
    return this.#max !== Number.POSITIVE_INFINITY;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Whether the account had fewer than this worker wanted. */
  get isShort(): boolean {
    return this.#isShort;
  }

  /** Whether more should be fetched now, and not only at the next interval. */
  get isLow(): boolean {
    return this.isLimited && !this.#isShort && this.#inFlight >= this.#lease;
  }

  /** Counts a request. Returns false if it would be one too many. */
  take(nowMs: number): boolean {
    if (this.#inFlight >= this.#limitAt(nowMs)) {
      // Refused requests are demand, too.
      this.#peak = Math.min(this.#max, Math.max(this.#peak, this.#inFlight) + 1);
      return false;
    }
    this.#inFlight++;
    if (this.#inFlight > this.#peak) this.#peak = this.#inFlight;
    return true;
  }

  release(): void {
    this.#inFlight--;
  }

  /** What to send to the account. From here on, the worker uses no more than it claims. */
  report(nowMs: number, isLeaving: boolean): SlotReport {
    if (!this.isLimited) return NO_SLOTS;
    const idle = Math.floor((this.#max * IDLE_PART) / this.#workers);
    const needed = Math.max(Math.ceil(this.#peak * PEAK_MARGIN) + 1, idle);
    this.#wanted = isLeaving ? 0 : Math.min(this.#max, needed);
    this.#peak = this.#inFlight;
    // Lower the lease before reporting it. The share is used in full until the reply.
    this.#lease = Math.min(this.#lease, this.#wanted);
    const limit = isLeaving ? 0 : this.#limitAt(nowMs);
    const claimed = Math.max(this.#inFlight, limit);
    return { concurrentMax: this.#max, claimed, wantedInFlight: this.#wanted };
  }

  accept({ lease }: QuotaGrant, sentMs: number): void {
    if (!this.isLimited) return;
    this.#isShort = lease < this.#wanted;
    this.#lease = lease;
    this.#validUntilMs = sentMs + VALID_MS;
  }

  /** Forgets the lease, and uses the share. */
  lapse(): void {
    this.#isShort = false;
    this.#validUntilMs = Number.NEGATIVE_INFINITY;
  }

  #limitAt(nowMs: number): number {
    if (!this.isLimited) return this.#max;
    if (nowMs < this.#validUntilMs) return this.#lease;
    return Math.max(1, Math.floor(this.#max / this.#workers));
  }
}
