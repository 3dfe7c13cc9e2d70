import { type Renewal, type RenewalReply, TTL_MS } from '../../src/shedding/lease-protocol.ts';
import { type AccountBugs, LeaseAccount } from './lease-account.ts';
import type { Random } from './random.ts';
import type { VirtualClock } from './virtual-clock.ts';

const SMALL_JUMP_MS = 150;

/** What an account knew at some time. */
export interface Copy {
  readonly account: LeaseAccount;
  readonly known: number;
}

/** One Redis server after another, as workers see it: one address, an account, a clock that may jump. */
export class SimulatedRedis {
  readonly #clock: VirtualClock;
  readonly #bugs: AccountBugs;
  #account: LeaseAccount;
  #skewMs: number;
  #life = 1;
  #smallJumpMs = Number.NEGATIVE_INFINITY;
  isUp = true;
  /** Workers that were counted by this account or by one whose memory a worker brought here, as bits. */
  #known = 0;

  constructor(clock: VirtualClock, random: Random, bugs: AccountBugs) {
    this.#clock = clock;
    this.#bugs = bugs;
    this.#account = new LeaseAccount(bugs);
    this.#skewMs = 1_700_000_000_000 + random.whole(-5000, 5000);
  }

  get account(): LeaseAccount {
    return this.#account;
  }

  get known(): number {
    return this.#known;
  }

  /** Changes with every start; a connection learns it once, and a restart ends all connections. */
  get runId(): string {
    return `life-${this.#life}`;
  }

  get #timeMs(): number {
    return Math.floor(this.#clock.nowMs + this.#skewMs);
  }

  /** Serves a renewal of a worker that knows of others. */
  renewal(renewal: Renewal, known: number): RenewalReply | null {
    this.#known |= known;
    return this.#account.renewal(this.#timeMs, this.runId, renewal);
  }

  exit(workerId: string): void {
    this.#account.exit(this.#timeMs, this.runId, workerId);
  }

  /**
   * Sets the clock forward or back. Steps too small to be told from a pause between renewals may come once in a TTL: the
   * protocol leaves 200 ms for them.
   */
  jump(byMs: number): void {
    if (byMs > 0 && byMs <= SMALL_JUMP_MS) {
      if (this.#clock.nowMs < this.#smallJumpMs + TTL_MS) return;
      this.#smallJumpMs = this.#clock.nowMs;
    }
    this.#skewMs += byMs;
  }

  /** What a replica or a disk has. */
  copy(): Copy {
    return { account: this.#account.clone(), known: this.#known };
  }

  flush(): void {
    this.#known = 0;
    this.#account = new LeaseAccount(this.#bugs);
  }

  crash(): void {
    this.isUp = false;
  }

  /** Starts again with what was saved: nothing, or a copy that may be old. */
  restart(saved: Copy | null): void {
    this.#account = saved?.account ?? new LeaseAccount(this.#bugs);
    this.#known = saved?.known ?? 0;
    this.#life++;
    this.isUp = true;
  }
}
