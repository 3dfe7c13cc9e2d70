import { setLateTimer } from '../../../utils/late-timers.ts';
import type { Quota, QuotaSubject } from '../quota.ts';
import { Meter } from './meter.ts';
import {
  CALL_MS_MIN,
  decodeGrants,
  encodeReports,
  PROBE_MS,
  QUIET_REPORT_MS,
  type QuotaStore,
  REPLY_TIMEOUT_MS,
  REPORT_MS,
  REPORT_MS_MAX,
  REPORTS_PER_CALL,
  REPORTS_PER_SECOND_MAX,
} from './protocol.ts';

/** The meters of one worker, and where their accounts are. */
export interface MetersOptions {
  /** Null without Redis: then each worker has its share. */
  readonly store: QuotaStore | null;
  /** Returns the number of workers that share the quotas, and the time of Redis. */
  readonly workers: () => number;
}

/** Counts since the start, and the present state. */
export interface MeterStats {
  readonly tracked: number;
  readonly onShare: number;
  readonly reports: number;
  readonly reportsFailed: number;
  /** The present interval of reports on a quota in use. */
  readonly intervalMs: number;
}

// Two for each credential that is cached, so those in use are never forgotten.
export const METERS_MAX = 20_000;

// A meter that is not busy reports this often for each time that a busy one does.
const QUIET_PART = REPORT_MS / QUIET_REPORT_MS;

/**
 * The quotas in use on this worker. Reports those that had requests to the account, many in one command, in the
 * background. The more quotas and workers there are, the longer are the intervals, so that Redis has time for all of
 * them. What was used longest ago is forgotten when there are too many.
 */
export class Meters {
  readonly #options: MetersOptions;
  /** Names this worker in the accounts. */
  readonly #workerId = crypto.randomUUID();
  readonly #meters = new Map<string, Meter>();
  readonly #active = new Set<Meter>();
  #cancelTimer = () => {};
  #timerMs = Number.POSITIVE_INFINITY;
  #lastCallMs = Number.NEGATIVE_INFINITY;
  #pauseMs = CALL_MS_MIN;
  #intervalMs = REPORT_MS;
  #isDown = false;
  #forgottenOnShare = 0;
  #reports = 0;
  #reportsFailed = 0;
  readonly #wake = (meter: Meter) => {
    if (this.#options.store === null) return;
    meter.isActive = true;
    this.#active.add(meter);
    this.#schedule(meter.dueMs);
  };

  constructor(options: MetersOptions) {
    this.#options = options;
  }

  /** Returns the meter of a key or organization with this quota, which may have changed. */
  of(subject: QuotaSubject, quota: Quota): Meter {
    const name = nameOf(subject);
    const known = this.#meters.get(name);
    this.#meters.delete(name);
    if (known === undefined && this.#meters.size >= METERS_MAX) this.#forgetOldest();
    const workers = this.#options.workers();
    const meter = known ?? new Meter(subject, quota, workers, this.#wake);
    meter.setQuota(quota, workers);
    this.#meters.set(name, meter);
    return meter;
  }

  stats(): MeterStats {
    let onShare = this.#forgottenOnShare;
    for (const { shareCount } of this.#meters.values()) onShare += shareCount;
    return {
      tracked: this.#meters.size,
      onShare,
      reports: this.#reports,
      reportsFailed: this.#reportsFailed,
      intervalMs: this.#intervalMs,
    };
  }

  #forgetOldest(): void {
    const [name, meter] = this.#meters.entries().next().value!;
    this.#meters.delete(name);
    this.#active.delete(meter);
    meter.isActive = false;
    this.#forgottenOnShare += meter.shareCount;
  }

  /** How long this worker's part of what Redis has time for lasts, if it sends this many reports. */
  #msFor(reports: number): number {
    return (reports * Math.max(1, this.#options.workers()) * 1000) / REPORTS_PER_SECOND_MAX;
  }

  get #nextCallMs(): number {
    return this.#lastCallMs + (this.#isDown ? Math.max(PROBE_MS, this.#pauseMs) : this.#pauseMs);
  }

  #schedule(dueMs: number): void {
    const nowMs = performance.now();
    const atMs = Math.max(dueMs, this.#nextCallMs, nowMs);
    if (atMs >= this.#timerMs) return;
    this.#cancelTimer();
    this.#timerMs = atMs;
    // A late loop must not make the grants run out.
    this.#cancelTimer = setLateTimer(Math.ceil(atMs - nowMs), () => {
      this.#timerMs = Number.POSITIVE_INFINITY;
      this.#report();
    });
  }

  /** Sends what is due, and schedules the rest. */
  #report(): void {
    const nowMs = performance.now();
    if (nowMs < this.#nextCallMs) {
      this.#schedule(nowMs);
      return;
    }
    const due: Meter[] = [];
    let nextMs = Number.POSITIVE_INFINITY;
    let inAnInterval = 0;
    for (const meter of this.#active) {
      inAnInterval += meter.isBusy ? 1 : QUIET_PART;
      if (meter.isOutstanding) continue;
      if (meter.dueMs <= nowMs && due.length < REPORTS_PER_CALL) due.push(meter);
      else if (meter.dueMs < nextMs) nextMs = meter.dueMs;
    }
    this.#intervalMs = Math.min(REPORT_MS_MAX, Math.max(REPORT_MS, this.#msFor(inAnInterval)));
    if (due.length > 0) this.#send(due, nowMs);
    if (nextMs < Number.POSITIVE_INFINITY) this.#schedule(nextMs);
  }

  #send(due: readonly Meter[], nowMs: number): void {
    this.#lastCallMs = nowMs;
    this.#pauseMs = Math.max(CALL_MS_MIN, this.#msFor(due.length));
    const reports = due.map((meter) => meter.report(nowMs, this.#intervalMs));
    // Those that were served go to the end, so that all get their turn.
    for (const meter of due) {
      this.#active.delete(meter);
      this.#active.add(meter);
    }
    const names = due.map(({ subject }) => nameOf(subject));
    let isOpen = true;
    const settle = (apply: () => void) => {
      if (!isOpen) return;
      isOpen = false;
      clearTimeout(timeout);
      apply();
    };
    const timeout = setTimeout(() => settle(() => this.#fail(due)), REPLY_TIMEOUT_MS);
    this.#options.store!.run(names, encodeReports(this.#workerId, reports)).then(
      (numbers) => settle(() => this.#accept(due, numbers)),
      () => settle(() => this.#fail(due)),
    );
  }

  #accept(due: readonly Meter[], numbers: readonly number[]): void {
    const nowMs = performance.now();
    const grants = decodeGrants(numbers);
    this.#isDown = false;
    this.#reports++;
    let nextMs = Number.POSITIVE_INFINITY;
    due.forEach((meter, i) => {
      meter.accept(grants[i]!, nowMs);
      if (meter.isActive) nextMs = Math.min(nextMs, meter.dueMs);
      else this.#active.delete(meter);
    });
    this.#schedule(Math.min(nextMs, this.#active.size > 0 ? nowMs + QUIET_REPORT_MS : nextMs));
  }

  /** Without the account, all meters use their share at once. */
  #fail(due: readonly Meter[]): void {
    const nowMs = performance.now();
    this.#reportsFailed++;
    for (const meter of due) meter.fail();
    if (!this.#isDown) for (const meter of this.#active) meter.lapse();
    this.#isDown = true;
    for (const meter of due) meter.dueMs = nowMs;
    this.#schedule(nowMs);
  }
}

function nameOf({ kind, id }: QuotaSubject): string {
  return `${kind}:${id}`;
}
