/** Whether calls go through, none does, or a few may try. */
export type BreakerState = 'closed' | 'open' | 'half-open';

/** How a breaker opens and closes. Times are milliseconds of the monotonic clock. */
export interface BreakerOptions {
  /** Failures in a row that open it. */
  readonly failureThreshold: number;
  /** After this it lets calls try, whatever the probes said. */
  readonly recoveryTimeoutMs: number;
  readonly nowMs: () => number;
}

type State =
  | { readonly kind: 'closed'; failuresInRow: number }
  | { readonly kind: 'open'; readonly untilMs: number }
  | { readonly kind: 'half-open'; trials: number; successes: number };

/** The right to make one call. It is good for the state that gave it: what comes of it later changes no other state. */
export type Pass = Exclude<State, { kind: 'open' }>;

/** Calls that may try at a time in HALF_OPEN, and how many must succeed. */
const TRIALS_MAX = 3;

/** Why a call was not made: the dependency was found to be away, and asking it again would only hold up the caller. */
export class BreakerOpen extends Error {
  constructor(name: string, cause?: unknown) {
    super(`the breaker of ${name} is open`, cause === undefined ? undefined : { cause });
    this.name = 'BreakerOpen';
  }
}

/**
 * A circuit breaker (Nygard, Release It!): closed, it counts failures in a row; open, it lets nothing through until a
 * probe succeeds or the recovery time is over; half-open, it lets a few calls try. Every state is an object of its own
 * and a pass is that object, so a call that ends after its state has ended changes nothing.
 */
export class CircuitBreaker {
  readonly #options: BreakerOptions;
  #state: State = { kind: 'closed', failuresInRow: 0 };

  constructor(options: BreakerOptions) {
    this.#options = options;
  }

  get state(): BreakerState {
    return this.#look().kind;
  }

  /** A pass for one call, or null while none may be made. Each pass is given back by exactly one of the next three. */
  enter(): Pass | null {
    const state = this.#look();
    if (state.kind === 'open') return null;
    if (state.kind === 'half-open') {
      if (state.trials + state.successes >= TRIALS_MAX) return null;
      state.trials++;
    }
    return state;
  }

  /** The call was answered. */
  succeed(pass: Pass): void {
    if (pass !== this.#state) return;
    if (pass.kind === 'closed') pass.failuresInRow = 0;
    else {
      pass.trials--;
      this.#countSuccess(pass);
    }
  }

  /** The call found the dependency away. Tells whether that opened the breaker. */
  fail(pass: Pass): boolean {
    if (pass !== this.#state) return false;
    if (pass.kind === 'closed' && ++pass.failuresInRow < this.#options.failureThreshold) return false;
    return this.trip();
  }

  /** The call says nothing, because whoever made it gave up. */
  leave(pass: Pass): void {
    if (pass === this.#state && pass.kind === 'half-open') pass.trials--;
  }

  /** A probe was answered: calls may try, and without calls the probes alone close it, one answer after the other. */
  hearProbe(): void {
    const state = this.#look();
    if (state.kind === 'open') this.#state = { kind: 'half-open', trials: 0, successes: 0 };
    else if (state.kind === 'half-open') this.#countSuccess(state);
  }

  /** Opens at once. Tells whether it was not open before. */
  trip(): boolean {
    if (this.#look().kind === 'open') return false;
    const { nowMs, recoveryTimeoutMs } = this.#options;
    this.#state = { kind: 'open', untilMs: nowMs() + recoveryTimeoutMs };
    return true;
  }

  #countSuccess(state: Extract<State, { kind: 'half-open' }>): void {
    if (++state.successes >= TRIALS_MAX) this.#state = { kind: 'closed', failuresInRow: 0 };
  }

  #look(): State {
    if (this.#state.kind === 'open' && this.#options.nowMs() >= this.#state.untilMs)
      this.#state = { kind: 'half-open', trials: 0, successes: 0 };
    return this.#state;
  }
}
