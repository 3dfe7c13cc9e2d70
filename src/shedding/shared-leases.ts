import { LeaseHolder } from './lease-holder.ts';
import {
  decodeReply,
  encodeRenewal,
  type LeaseStore,
  RENEWAL_MS_MIN,
  REPLY_TIMEOUT_MS,
} from './lease-protocol.ts';
import type { PermitDemand, PermitSource, PermitStats } from './permit-source.ts';

/** How a worker shares the cap. */
export interface SharedLeasesOptions {
  readonly store: LeaseStore;
  /** Unlike that of any other worker's life, on any host. */
  readonly workerId: string;
  /** Permits of the whole cluster. */
  readonly cap: number;
  /** Workers that share the cap, as configured: counts while Redis was never reached. */
  readonly fallbackWorkers: number;
  /** How long a worker that is cut off waits before it goes up to the floor: HTTP_TIMEOUT + DATABASE_TIMEOUT. */
  readonly riseAfterMs: number;
}

const CLOSE_MS_MAX = 200;
const CLOSE_STEP_MS = 10;
const EXITS_MAX = 64;
/** A turn of the event loop in which an answer that has already come in is read. */
const LAST_LOOK_MS = 2;
const NO_DEMAND: PermitDemand = { inFlight: 0, wanted: 0, cutoff: 0, arrivals: 0 };

/**
 * Permits leased from the account in Redis. It renews in the background, at most every 50 ms, and answers requests from
 * memory; nothing ever waits for Redis.
 */
export class SharedLeases implements PermitSource {
  readonly #store: LeaseStore;
  readonly #holder: LeaseHolder;
  readonly #options: SharedLeasesOptions;
  #read: () => PermitDemand = () => NO_DEMAND;
  #timer: Timer | undefined;
  #timerDueMs = Number.POSITIVE_INFINITY;
  #lastCommandMs = Number.NEGATIVE_INFINITY;
  #isHurried = false;
  #isClosed = false;
  #renewals = 0;
  #renewalFailures = 0;
  #renewalMsSum = 0;
  /** Dead workers that the account has to hear of. */
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
      this.#plan();
    });
    this.#plan();
  }

  limitAt(nowMs: number): number {
    return this.#holder.limitAt(nowMs);
  }

  cutoffAt(nowMs: number): number | null {
    return this.#holder.cutoffAt(nowMs);
  }

  runShort(): void {
    // Called for every refusal, so all but the first one of a renewal end here.
    if (this.#isHurried) return;
    this.#isHurried = true;
    this.#holder.runShort();
    this.#plan();
  }

  observe(read: () => PermitDemand): void {
    this.#read = read;
  }

  setShare(permits: number): void {
    this.#holder.setShare(permits, performance.now());
  }

  /**
   * Tells the account that another worker is dead, so that the cap is divided by one less. To be called only when that
   * process is gone for certain: nothing counts what it has in flight from then on. Rejects when Redis cannot hear it.
   */
  reportExit(workerId: string): Promise<void> {
    const pending = this.#exits.get(workerId);
    if (pending) return pending.promise;
    if (this.#isClosed || !this.#holder.isHeard || this.#exits.size >= EXITS_MAX)
      return Promise.reject(new Error('Redis cannot be told of the exit now.'));
    const told = Promise.withResolvers<void>();
    this.#exits.set(workerId, told);
    return told.promise;
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
      clusterHeld: reply?.held ?? limit,
      clusterInFlight: reply?.inFlight ?? this.#read().inFlight,
      renewals: this.#renewals,
      renewalFailures: this.#renewalFailures,
      renewalMsSum: this.#renewalMsSum,
      commands: this.#store.commands,
    };
  }

  /** Gives back what is not in flight, and takes leave of the others where nothing is; takes 200 ms at most. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    const endMs = performance.now() + CLOSE_MS_MAX;
    this.#holder.leave();
    this.#plan();
    while (this.#read().inFlight > 0 && performance.now() < endMs) await Bun.sleep(CLOSE_STEP_MS);
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#dropExits();
    // A silent Redis hears of it from the supervisor, or not at all, which is safe.
    if (this.#read().inFlight === 0) await this.#tellExit(this.#options.workerId).catch(() => {});
    this.#store.close();
  }

  /** Sets the timer for what is due next. */
  #plan(): void {
    if (this.#isClosed) return;
    const dueMs = Math.max(this.#holder.dueAtMs(), this.#lastCommandMs + RENEWAL_MS_MIN);
    if (dueMs === this.#timerDueMs) return;
    clearTimeout(this.#timer);
    this.#timerDueMs = dueMs;
    if (dueMs === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(
      () => {
        this.#timerDueMs = Number.POSITIVE_INFINITY;
        this.#wake();
      },
      Math.max(0, Math.ceil(dueMs - performance.now())),
    );
  }

  #wake(): void {
    const nowMs = performance.now();
    if (nowMs < this.#lastCommandMs + RENEWAL_MS_MIN) {
      this.#plan();
      return;
    }
    const [dead] = this.#exits;
    if (dead === undefined) this.#beat(nowMs);
    else {
      const [workerId, told] = dead;
      this.#exits.delete(workerId);
      this.#tellExit(workerId).then(told.resolve, told.reject);
      this.#plan();
    }
  }

  #beat(nowMs: number): void {
    const renewal = this.#holder.nextRenewal(nowMs, this.#read());
    if (renewal !== null) {
      this.#isHurried = false;
      this.#lastCommandMs = nowMs;
      const giveUp = setTimeout(
        // When the loop was stalled, this timer fires before answers are read that came in time.
        () => setTimeout(() => this.#failed(renewal.seq), LAST_LOOK_MS),
        REPLY_TIMEOUT_MS,
      );
      this.#store.call(encodeRenewal(renewal)).then(
        (numbers) => {
          clearTimeout(giveUp);
          this.#answered(renewal.seq, nowMs, numbers);
        },
        () => {
          clearTimeout(giveUp);
          this.#failed(renewal.seq);
        },
      );
    }
    this.#plan();
  }

  #answered(seq: number, sentMs: number, numbers: readonly number[]): void {
    const nowMs = performance.now();
    if (this.#holder.answered(seq, decodeReply(numbers), nowMs)) {
      this.#renewals++;
      this.#renewalMsSum += nowMs - sentMs;
    } else this.#failed(seq);
    this.#plan();
  }

  #failed(seq: number): void {
    if (!this.#holder.isOutstanding(seq)) return;
    this.#renewalFailures++;
    if (this.#holder.failed(seq, performance.now())) this.#store.reconnect();
    this.#dropExits();
    this.#plan();
  }

  async #tellExit(workerId: string): Promise<void> {
    this.#lastCommandMs = performance.now();
    const silence = Promise.withResolvers<never>();
    const timer = setTimeout(() => silence.reject(new Error('Redis was silent.')), REPLY_TIMEOUT_MS);
    try {
      await Promise.race([this.#store.call(['exit', workerId]), silence.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Whoever asked is told that it did not work, and may ask again. */
  #dropExits(): void {
    for (const told of this.#exits.values()) told.reject(new Error('Redis cannot be reached.'));
    this.#exits.clear();
  }
}
