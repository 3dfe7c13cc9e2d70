import type { RequestSlots } from '../../../envelope/exchange.ts';
import { isSame, type Quota, type QuotaSubject } from '../quota.ts';
import { CALL_MS_MIN, QUIET_REPORT_MS, type QuotaGrant, type QuotaReport, REPORT_MS } from './protocol.ts';
import { NO_SLOTS, SlotLease } from './slot-lease.ts';
import { NO_TOKENS, TokenLease } from './token-lease.ts';

/** Which part of a quota refused a request. */
export type Exceeded = 'requests' | 'concurrent_requests';

/** Called when a meter has something to report: at once, or with the next report. */
export type Wake = (meter: Meter) => void;

// A worker leaves when it had no request for as long as three tokens take, within these bounds.
const LEAVE_TOKENS = 3;
const LEAVE_MS_MIN = 500;
const LEAVE_MS_MAX = 3000;

/**
 * What one worker knows of the quota of a key or an organization. Decides from memory, so that no request waits for
 * Redis. It has no timer and does no I/O: callers pass in the time, in milliseconds of a monotonic clock.
 */
export class Meter {
  readonly subject: QuotaSubject;
  readonly #wake: Wake;
  #quota: Quota;
  #tokens: TokenLease | null = null;
  #slots: SlotLease | null = null;
  #lastTakeMs = Number.NEGATIVE_INFINITY;
  #sentMs = 0;
  #isLeaving = false;
  #arrivals = 0;
  #intervalMs = REPORT_MS;

  /** Whether it reports, and whether at the shortest interval. */
  isActive = false;
  isBusy = true;
  /** Whether a report has no reply yet. */
  isOutstanding = false;
  /** When the next report is due. */
  dueMs = 0;

  constructor(subject: QuotaSubject, quota: Quota, workers: number, wake: Wake) {
    this.subject = subject;
    this.#wake = wake;
    this.#quota = quota;
    this.setQuota(quota, workers);
  }

  get quota(): Quota {
    return this.#quota;
  }

  /** What counts the requests in flight, or null if they have no limit. */
  get slots(): RequestSlots | null {
    return this.#slots;
  }

  /** Requests in flight, if they have had a limit. */
  get inFlight(): number {
    return this.#slots?.inFlight ?? 0;
  }

  /** Requests that were served on the share. */
  get shareCount(): number {
    return this.#tokens?.shareCount ?? 0;
  }

  setQuota(quota: Quota, workers: number): void {
    const { requestsPerSecond, burst, concurrentRequests } = quota;
    if (!isSame(this.#quota, quota)) this.#quota = quota;
    if (requestsPerSecond === null) this.#tokens = null;
    else {
      this.#tokens ??= new TokenLease();
      this.#tokens.setQuota(requestsPerSecond, burst, workers);
    }
    // Once there are slots they remain: requests in flight hold them.
    if (concurrentRequests !== null) this.#slots ??= new SlotLease();
    this.#slots?.setQuota(concurrentRequests, workers);
  }

  /** Takes one request at this time. Returns null, or what refuses it. */
  take(nowMs: number): Exceeded | null {
    this.#lastTakeMs = nowMs;
    this.#arrivals++;
    const exceeded = this.#take(nowMs);
    if (!this.isActive || (!this.isOutstanding && this.dueMs > nowMs && this.#isLow)) {
      this.dueMs = nowMs;
      this.#wake(this);
    }
    return exceeded;
  }

  /** Undoes the last {@link take}: the request was refused by another quota. */
  putBack(): void {
    this.#tokens?.putBack();
    this.#slots?.release();
  }

  /** What to send to the account now, if busy meters report at this interval. */
  report(nowMs: number, intervalMs: number): QuotaReport {
    this.isOutstanding = true;
    this.#sentMs = nowMs;
    this.#intervalMs = intervalMs;
    this.#isLeaving = this.#isQuiet(nowMs);
    const tokens = this.#tokens?.report(nowMs, this.#isLeaving, intervalMs) ?? NO_TOKENS;
    const slots = this.#slots?.report(nowMs, this.#isLeaving) ?? NO_SLOTS;
    return { ...tokens, ...slots };
  }

  /** Applies the reply to the last report. */
  accept(grant: QuotaGrant, nowMs: number): void {
    this.isOutstanding = false;
    this.#tokens?.accept(grant, this.#sentMs, nowMs);
    this.#slots?.accept(grant, this.#sentMs);
    const hadRequests = this.#arrivals > 0;
    this.#arrivals = 0;
    if (this.#isLeaving && !hadRequests) {
      this.isActive = false;
      this.isBusy = true;
      this.#tokens?.leave();
      this.#slots?.lapse();
      return;
    }
    const pauseMs = this.#pauseMs(grant, hadRequests);
    this.isBusy = pauseMs < QUIET_REPORT_MS;
    const longestMs = Math.max(QUIET_REPORT_MS, this.#intervalMs);
    this.dueMs = nowMs + Math.min(longestMs, (pauseMs * this.#intervalMs) / REPORT_MS);
  }

  /** The last report failed. */
  fail(): void {
    this.isOutstanding = false;
    this.#tokens?.fail();
    this.#slots?.lapse();
  }

  /** Forgets what was granted: the account is unavailable. */
  lapse(): void {
    this.#tokens?.lapse();
    this.#slots?.lapse();
  }

  get #isLow(): boolean {
    return (this.#tokens?.isLow ?? false) || (this.#slots?.isLow ?? false);
  }

  #pauseMs({ waitMs }: QuotaGrant, hadRequests: boolean): number {
    if (this.#slots?.isShort) return REPORT_MS;
    if (this.#tokens?.isShort) return Math.min(QUIET_REPORT_MS, Math.max(CALL_MS_MIN, waitMs));
    return hadRequests || this.#tokens?.isCooling ? REPORT_MS : QUIET_REPORT_MS;
  }

  #take(nowMs: number): Exceeded | null {
    if (this.#slots !== null && !this.#slots.take(nowMs)) return 'concurrent_requests';
    if (this.#tokens === null || this.#tokens.take(nowMs)) return null;
    this.#slots?.release();
    return 'requests';
  }

  #isQuiet(nowMs: number): boolean {
    if (this.#slots !== null && this.#slots.inFlight > 0) return false;
    const tokensMs = this.#tokens === null ? 0 : (LEAVE_TOKENS / this.#tokens.rate) * 1000;
    return nowMs - this.#lastTakeMs >= Math.min(LEAVE_MS_MAX, Math.max(LEAVE_MS_MIN, tokensMs));
  }
}
