import { setLateTimer } from '../utils/late-timers.ts';
import { LeaseHolder, type LeaseHolderOptions } from './lease-holder.ts';
import {
  decodeReply,
  encodeRenewal,
  type LeaseStore,
  RENEWAL_MS_MIN,
  REPLY_TIMEOUT_MS,
} from './lease-protocol.ts';
import type { PermitDemand, PermitSource, PermitStats } from './permit-source.ts';

/** Settings of a worker that shares the cap. */
export interface SharedLeasesOptions extends Omit<LeaseHolderOptions, 'startMs' | 'random'> {
  readonly store: LeaseStore;
}

const CLOSE_MS_MAX = 200;
const CLOSE_STEP_MS = 10;
const EXITS_MAX = 64;
/** Time for the event loop to read a reply that has already arrived. */
const READ_GRACE_MS = 2;
const NO_DEMAND: PermitDemand = { inFlight: 0, wanted: 0, cutoff: 0, arrivals: 0 };

/**
 * Permits leased from the account in Redis. Renews in the background, at most every 50 ms, and decides from memory, so
 * that no request ever waits for Redis.
 */
export class SharedLeases implements PermitSource {
  readonly #store: LeaseStore;
  readonly #holder: LeaseHolder;
  readonly #options: SharedLeasesOptions;
  #read: () => PermitDemand = () => NO_DEMAND;
  #cancelTimer = () => {};
  #timerDueMs = Number.POSITIVE_INFINITY;
  #lastCommandMs = Number.NEGATIVE_INFINITY;
  #isHurried = false;
  #isClosed = false;
  #renewals = 0;
  #renewalFailures = 0;
  #renewalMsSum = 0;
  /** Exits of other workers that have not been reported to the account yet. */
  readonly #exits = new Map<string, PromiseWithResolvers<void>>();

  constructor(options: SharedLeasesOptions) {
    this.#options = options;
    this.#store = options.store;
    const { workerId, cap, fallbackWorkers, riseAfterMs } = options;
    const startMs = performance.now();
    const random = Math.random;
    this.#holder = new LeaseHolder({ workerId, cap, fallbackWorkers, riseAfterMs, startMs, random });
    this.#store.onReady(() => {
      this.#holder.reconnected();
      this.#schedule();
    });
    this.#schedule();
  }

  limitAt(nowMs: number): number {
    return this.#holder.limitAt(nowMs);
  }

  cutoffAt(nowMs: number): number | null {
    return this.#holder.cutoffAt(nowMs);
  }

  runShort(): void {
    // Called for every refusal; only the first one between two renewals does anything.
    if (this.#isHurried) return;
    this.#isHurried = true;
    this.#holder.runShort();
    this.#schedule();
  }

  observe(read: () => PermitDemand): void {
    this.#read = read;
  }

  setShare(permits: number): void {
    this.#holder.setShare(permits, performance.now());
  }

  /**
   * Reports to the account that another worker is dead, so that the cap is divided among the rest. Call it only when
   * the process is certainly gone: its requests in flight no longer count. Rejects if Redis is unavailable.
   */
  reportExit(workerId: string): Promise<void> {
    const pending = this.#exits.get(workerId);
    if (pending) return pending.promise;
    if (this.#isClosed || !this.#holder.isAccountReachable || this.#exits.size >= EXITS_MAX)
      return Promise.reject(new Error('The exit cannot be reported: Redis is unavailable.'));
    const reported = Promise.withResolvers<void>();
    this.#exits.set(workerId, reported);
    return reported.promise;
  }

  stats(): PermitStats {
    const nowMs = performance.now();
    const { reply } = this.#holder;
    const { cap, fallbackWorkers } = this.#options;
    const limit = this.limitAt(nowMs);
    return {
      mode: this.#holder.modeAt(nowMs),
      cap: Math.min(cap, reply?.cap ?? cap),
      limit,
      workers: reply?.workers ?? fallbackWorkers,
      recentWorkers: reply?.recentWorkers ?? fallbackWorkers,
      clusterHeld: reply?.held ?? limit,
      clusterInFlight: reply?.inFlight ?? this.#read().inFlight,
      renewals: this.#renewals,
      renewalFailures: this.#renewalFailures,
      renewalMsSum: this.#renewalMsSum,
      commands: this.#store.commands,
    };
  }

  /** Returns unused permits, and leaves the cluster once nothing is in flight. Takes at most 200 ms. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    const endMs = performance.now() + CLOSE_MS_MAX;
    this.#holder.leave();
    this.#schedule();
    while (this.#read().inFlight > 0 && performance.now() < endMs) await Bun.sleep(CLOSE_STEP_MS);
    this.#isClosed = true;
    this.#cancelTimer();
    this.#dropExits();
    // If this fails, the supervisor reports the exit, or nobody does, which is safe.
    if (this.#read().inFlight === 0) await this.#sendExit(this.#options.workerId).catch(() => {});
    this.#store.close();
  }

  /** Schedules the timer for the next command. */
  #schedule(): void {
    if (this.#isClosed) return;
    const dueMs = Math.max(this.#holder.dueAtMs(), this.#lastCommandMs + RENEWAL_MS_MIN);
    if (dueMs === this.#timerDueMs) return;
    this.#cancelTimer();
    this.#timerDueMs = dueMs;
    if (dueMs === Number.POSITIVE_INFINITY) return;
    // A lease must not expire because the event loop is busy refusing requests.
    this.#cancelTimer = setLateTimer(Math.max(0, Math.ceil(dueMs - performance.now())), () => {
      this.#timerDueMs = Number.POSITIVE_INFINITY;
      this.#wake();
    });
  }

  #wake(): void {
    const nowMs = performance.now();
    if (nowMs < this.#lastCommandMs + RENEWAL_MS_MIN) {
      this.#schedule();
      return;
    }
    const [dead] = this.#exits;
    if (dead === undefined) this.#renew(nowMs);
    else {
      const [workerId, reported] = dead;
      this.#exits.delete(workerId);
      this.#sendExit(workerId).then(reported.resolve, reported.reject);
      this.#schedule();
    }
  }

  #renew(nowMs: number): void {
    const renewal = this.#holder.nextRenewal(nowMs, this.#read());
    if (renewal !== null) {
      this.#isHurried = false;
      this.#lastCommandMs = nowMs;
      const timeout = setTimeout(
        // After a stall of the event loop, this timer fires before replies that arrived in time are read.
        () => setTimeout(() => this.#failRenewal(renewal.seq), READ_GRACE_MS),
        REPLY_TIMEOUT_MS,
      );
      this.#store.call(encodeRenewal(renewal)).then(
        (numbers) => {
          clearTimeout(timeout);
          this.#handleReply(renewal.seq, nowMs, numbers);
        },
        () => {
          clearTimeout(timeout);
          this.#failRenewal(renewal.seq);
        },
      );
    }
    this.#schedule();
  }

  #handleReply(seq: number, sentMs: number, numbers: readonly number[]): void {
    const nowMs = performance.now();
    if (this.#holder.acceptReply(seq, decodeReply(numbers), nowMs)) {
      this.#renewals++;
      this.#renewalMsSum += nowMs - sentMs;
    } else this.#failRenewal(seq);
    this.#schedule();
  }

  #failRenewal(seq: number): void {
    if (!this.#holder.isOutstanding(seq)) return;
    this.#renewalFailures++;
    if (this.#holder.failRenewal(seq, performance.now())) this.#store.reconnect();
    this.#dropExits();
    this.#schedule();
  }

  async #sendExit(workerId: string): Promise<void> {
    this.#lastCommandMs = performance.now();
    const timeout = Promise.withResolvers<never>();
    const timer = setTimeout(() => timeout.reject(new Error('Redis did not reply.')), REPLY_TIMEOUT_MS);
    try {
      await Promise.race([this.#store.call(['exit', workerId]), timeout.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Rejects the pending reports, which callers may repeat. */
  #dropExits(): void {
    for (const reported of this.#exits.values()) reported.reject(new Error('Redis is unavailable.'));
    this.#exits.clear();
  }
}
