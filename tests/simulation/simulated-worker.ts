import type { LeaseHolder } from '../../src/shedding/lease-holder.ts';
import {
  REPLY_TIMEOUT_MS,
  type RenewalReply,
  STANDING,
  VALID_MS,
} from '../../src/shedding/lease-protocol.ts';
import type { Cut, Network } from './network.ts';
import type { Random } from './random.ts';
import type { SimulatedRedis } from './simulated-redis.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** The part of the real holder that a worker drives; a planted bug wraps it. */
export type Holder = Pick<
  LeaseHolder,
  'limitAt' | 'runShort' | 'dueAtMs' | 'nextRenewal' | 'acceptReply' | 'failRenewal' | 'leave'
>;

/** The environment of a worker. */
export interface Surroundings {
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly redis: SimulatedRedis;
  readonly network: Network;
  /** Called after each admission, and after each renewal that the account served. */
  readonly admitted: (worker: SimulatedWorker) => void;
  readonly counted: (worker: SimulatedWorker, reply: RenewalReply | null) => void;
}

const WAITING_MAX = 50;
const WINDOW_MS = 50;
/** Delay after which a refused caller retries. */
const RETRY_MS = 4;

/** One worker incarnation: the real protocol code, requests, and its own network connection. */
export class SimulatedWorker {
  readonly id: string;
  readonly #around: Surroundings;
  readonly #holder: Holder;
  /** Each process has its own origin of the monotonic clock. */
  readonly #bootMs: number;
  inFlight = 0;
  inFlightMax = 0;
  #refused = 0;
  #refusedBefore = 0;
  #windowMs = 0;
  #arrivalMs = Number.POSITIVE_INFINITY;
  #meanArrivalMs = Number.POSITIVE_INFINITY;
  #callers = 0;
  #retries = 0;
  meanWorkMs = 100;
  longestWorkMs = 600;
  #outstanding = 0;
  #wakeMs = Number.POSITIVE_INFINITY;
  #waiting: (() => void)[] | null = null;
  isAlive = true;
  cut: Cut = 'none';

  // What the referee knows of this worker: the messages delivered to it, whatever its holder does with them.
  validUntilMs = Number.NEGATIVE_INFINITY;
  readonly bit: number;
  /** Workers it must know of, as bits: those that the account knew of when it replied. */
  known: number;
  reply: RenewalReply | null = null;
  releasedMs = 0;
  renewals = 0;

  constructor(id: string, bit: number, around: Surroundings, makeHolder: (startMs: number) => Holder) {
    this.id = id;
    this.bit = bit;
    this.known = bit;
    this.#around = around;
    this.#bootMs = around.random.whole(0, 100_000) - around.clock.nowMs;
    this.#holder = makeHolder(this.#monotonicMs);
    this.#planWake();
  }

  get isPaused(): boolean {
    return this.#waiting !== null;
  }

  get isLapsed(): boolean {
    return this.#around.clock.nowMs >= this.validUntilMs;
  }

  get isMember(): boolean {
    return this.reply?.standing === STANDING.member;
  }

  get #monotonicMs(): number {
    return this.#around.clock.nowMs + this.#bootMs;
  }

  /** Stops the process, like SIGSTOP or a stalled machine. */
  pause(): void {
    this.#waiting ??= [];
  }

  /** Resumes the process. Everything that arrived meanwhile happens now, in random order. */
  resume(): void {
    const waiting = this.#waiting;
    if (!waiting || !this.isAlive) return;
    this.#waiting = null;
    this.releasedMs = this.#around.clock.nowMs;
    for (let i = waiting.length - 1; i > 0; i--) {
      const j = this.#around.random.whole(0, i);
      [waiting[i], waiting[j]] = [waiting[j]!, waiting[i]!];
    }
    for (const run of waiting) this.#run(run);
  }

  kill(): void {
    this.isAlive = false;
    this.inFlight = 0;
  }

  /** Shuts down gracefully: returns unused permits, and leaves the cluster when the last request has ended. */
  leave(): void {
    this.#run(() => {
      this.#holder.leave();
      this.load(0);
      this.#planWake();
    });
    const exit = () => {
      if (!this.isAlive) return;
      if (this.inFlight > 0 || this.isPaused) {
        this.#around.clock.after(20, exit);
        return;
      }
      this.kill();
      this.#sendToRedis(() => this.#around.redis.exit(this.id));
    };
    this.#around.clock.after(20, exit);
  }

  /** Sets the arrival rate of requests. */
  load(perSecond: number): void {
    this.#meanArrivalMs = perSecond > 0 ? 1000 / perSecond : Number.POSITIVE_INFINITY;
    this.#planArrival();
  }

  /** Sets the number of callers, each of which has one request in flight and retries when refused. */
  call(callers: number): void {
    this.#callers = callers;
    const retries = ++this.#retries;
    const retry = () => {
      if (this.#retries !== retries || !this.isAlive) return;
      if (!this.isPaused) for (let i = this.#callers - this.inFlight; i > 0 && this.#arrive(); i--);
      this.#around.clock.after(RETRY_MS, retry);
    };
    retry();
  }

  #planArrival(): void {
    const { clock, random } = this.#around;
    const atMs = clock.nowMs + random.exponential(this.#meanArrivalMs);
    this.#arrivalMs = atMs;
    if (!Number.isFinite(atMs)) return;
    clock.at(atMs, () => {
      if (this.#arrivalMs !== atMs || !this.isAlive) return;
      this.#planArrival();
      if ((this.#waiting?.length ?? 0) < WAITING_MAX) this.#run(() => this.#arrive());
    });
  }

  /** Returns whether the request was admitted. */
  #arrive(): boolean {
    const { clock, random, admitted } = this.#around;
    this.#turnWindow();
    if (this.inFlight >= this.#holder.limitAt(this.#monotonicMs)) {
      this.#refused++;
      this.#holder.runShort();
      this.#planWake();
      return false;
    }
    this.inFlight++;
    this.inFlightMax = Math.max(this.inFlightMax, this.inFlight);
    admitted(this);
    const workMs = Math.min(this.longestWorkMs, random.exponential(this.meanWorkMs));
    clock.after(workMs, () => this.#run(() => this.#end()));
    return true;
  }

  #end(): void {
    this.inFlight--;
    // Of many retrying callers, one arrives right now.
    if (this.#callers > this.inFlight) this.#arrive();
  }

  #turnWindow(): void {
    const nowMs = this.#around.clock.nowMs;
    if (nowMs < this.#windowMs + WINDOW_MS) return;
    this.#refusedBefore = nowMs < this.#windowMs + 2 * WINDOW_MS ? this.#refused : 0;
    this.#refused = 0;
    this.#windowMs = nowMs;
  }

  #demand() {
    this.#turnWindow();
    const refused = this.#refused + this.#refusedBefore;
    const wanted = this.#callers > 0 ? Math.max(this.#callers, this.inFlight) : this.inFlight + refused;
    return { inFlight: this.inFlight, wanted, cutoff: 0, arrivals: refused };
  }

  /** Runs work in the process: later if it is paused, never if it is dead. */
  #run(work: () => void): void {
    if (!this.isAlive) return;
    if (this.#waiting) this.#waiting.push(work);
    else work();
  }

  #planWake(): void {
    const dueMs = this.#holder.dueAtMs() - this.#bootMs;
    // Slightly late, like a real timer, so that rounding cannot make it early.
    const atMs = Math.max(this.#around.clock.nowMs, dueMs) + 0.01;
    if (!Number.isFinite(atMs) || atMs >= this.#wakeMs) return;
    this.#wakeMs = atMs;
    this.#around.clock.at(atMs, () => this.#run(() => this.#wake(atMs)));
  }

  #wake(plannedMs: number): void {
    if (plannedMs === this.#wakeMs) this.#wakeMs = Number.POSITIVE_INFINITY;
    const { clock, redis, counted } = this.#around;
    const renewal = this.#holder.nextRenewal(this.#monotonicMs, this.#demand());
    if (renewal !== null) {
      this.renewals++;
      this.#outstanding = renewal.seq;
      const sentMs = clock.nowMs;
      this.#sendToRedis(() => {
        const reply = redis.renewal(renewal, this.known);
        const { known } = redis;
        counted(this, reply);
        this.#around.network.carry(this.cut === 'both' || this.cut === 'replies', () =>
          this.#run(() => this.#handleReply(renewal.seq, reply, sentMs, known)),
        );
      });
      clock.after(REPLY_TIMEOUT_MS, () => this.#run(() => this.#failRenewal(renewal.seq)));
    }
    this.#planWake();
  }

  /** Sends a command on the current connection: a later server does not receive it. */
  #sendToRedis(execute: () => void): void {
    const { redis, network } = this.#around;
    const { runId } = redis;
    network.carry(this.cut === 'both' || this.cut === 'requests', () => {
      if (redis.isUp && redis.runId === runId) execute();
    });
  }

  #handleReply(seq: number, reply: RenewalReply | null, sentMs: number, known: number): void {
    if (this.#outstanding === seq) {
      this.#outstanding = 0;
      if (reply !== null && this.#around.clock.nowMs < sentMs + VALID_MS) {
        this.validUntilMs = sentMs + VALID_MS;
        this.known |= known;
        this.reply = reply;
      }
    }
    if (!this.#holder.acceptReply(seq, reply, this.#monotonicMs))
      this.#holder.failRenewal(seq, this.#monotonicMs);
    this.#planWake();
  }

  #failRenewal(seq: number): void {
    if (this.#outstanding === seq) this.#outstanding = 0;
    this.#holder.failRenewal(seq, this.#monotonicMs);
    this.#planWake();
  }
}
