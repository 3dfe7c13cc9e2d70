import { type Renewal, type RenewalReply, TTL_MS } from '../../src/shedding/lease-protocol.ts';
import { type AccountBugs, LeaseAccount } from './lease-account.ts';
import type { Random } from './random.ts';
import type { VirtualClock } from './virtual-clock.ts';

const SMALL_JUMP_MS = 150;

/** A copy of the account at some time. */
export interface Copy {
  readonly account: LeaseAccount;
  readonly known: number;
}

/** Redis as workers see it, across restarts: one address, an account, a clock that may jump. */
export class SimulatedRedis {
  readonly #clock: VirtualClock;
  readonly #bugs: AccountBugs;
  #account: LeaseAccount;
  #skewMs: number;
  #run = 1;
  #smallJumpMs = Number.NEGATIVE_INFINITY;
  isUp = true;
  /** Workers counted by this account, or by an earlier one that a renewal carried over, as bits. */
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

  /** Changes with every start. A connection reads it once, and a restart closes all connections. */
  get runId(): string {
    return `run-${this.#run}`;
  }

  get #timeMs(): number {
    return Math.floor(this.#clock.nowMs + this.#skewMs);
  }

  /** Serves a renewal. `known`: the workers its sender knows of, as bits. */
  renewal(renewal: Renewal, known: number): RenewalReply | null {
    this.#known |= known;
    return this.#account.renewal(this.#timeMs, this.runId, renewal);
  }

  exit(workerId: string): void {
    this.#account.exit(this.#timeMs, this.runId, workerId);
  }

  /**
   * Sets the clock forward or back. Steps too small to distinguish from a pause between renewals may occur once per
   * TTL: the protocol tolerates 200 ms.
   */
  jump(byMs: number): void {
    if (byMs > 0 && byMs <= SMALL_JUMP_MS) {
      if (this.#clock.nowMs < this.#smallJumpMs + TTL_MS) return;
      this.#smallJumpMs = this.#clock.nowMs;
    }
    this.#skewMs += byMs;
  }

  /** A snapshot, as a replica or a disk has it. */
  copy(): Copy {
    return { account: this.#account.clone(), known: this.#known };
  }

  flush(): void {
    this.#known = 0;
    this.#account = new LeaseAccount(this.#bugs);
  }

  /** Makes the record of a worker unreadable. */
  corrupt(random: Random): void {
    const { ids } = this.#account;
    if (ids.length > 0) this.#account.corrupt(random.pick(ids));
  }

  crash(): void {
    this.isUp = false;
  }

  /** Restarts empty, or with a copy that may be old. */
  restart(saved: Copy | null): void {
    this.#account = saved?.account ?? new LeaseAccount(this.#bugs);
    this.#known = saved?.known ?? 0;
    this.#run++;
    this.isUp = true;
  }
}
