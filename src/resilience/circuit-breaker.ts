/** `closed` lets calls through, `open` none, `half-open` a few trial calls. */
export type BreakerState = 'closed' | 'open' | 'half-open';

/** Settings of a breaker. Times are milliseconds of the monotonic clock. */
export interface BreakerOptions {
  /** Consecutive failures that open it. */
  readonly failureThreshold: number;
  /** Time after which trial calls are allowed, even if no probe succeeded. */
  readonly recoveryTimeoutMs: number;
  readonly nowMs: () => number;
}

type State =
  | { readonly kind: 'closed'; failuresInRow: number }
  | { readonly kind: 'open'; readonly untilMs: number }
  | { readonly kind: 'half-open'; trials: number; successes: number };

/** Permission for one call. It belongs to the state that issued it: a late outcome does not affect another state. */
export type Pass = Exclude<State, { kind: 'open' }>;

/** Trial calls while half-open, and how many of them must succeed. */
const TRIALS_MAX = 3;

/** Thrown instead of making a call, because the dependency was found to be unavailable. */
export class BreakerOpen extends Error {
  readonly dependency: string;
  constructor(name: string, cause?: unknown) {
    super(`the circuit breaker of ${name} is open`, cause === undefined ? undefined : { cause });
    this.name = 'BreakerOpen';
    this.dependency = name;
  }
}

/**
 * A circuit breaker (Nygard, Release It!). Closed, it counts consecutive failures. Open, it refuses all calls until a
 * probe succeeds or the recovery time is over. Half-open, it allows a few trial calls. Each state is a new object and a
 * pass is that object, so a call that outlives its state changes nothing.
 */
export class CircuitBreaker {
  readonly #options: BreakerOptions;
  #state: State = { kind: 'closed', failuresInRow: 0 };

  constructor(options: BreakerOptions) {
    this.#options = options;
  }

  get state(): BreakerState {
    return this.#current().kind;
  }

  /** Returns a pass for one call, or null to refuse it. Pass it to exactly one of the next three methods. */
  enter(): Pass | null {
    const state = this.#current();
    if (state.kind === 'open') return null;
    if (state.kind === 'half-open') {
      if (state.trials + state.successes >= TRIALS_MAX) return null;
      state.trials++;
    }
    return state;
  }

  /** Records that the dependency responded. */
  succeed(pass: Pass): void {
    if (pass !== this.#state) return;
    if (pass.kind === 'closed') pass.failuresInRow = 0;
    else {
      pass.trials--;
      this.#countSuccess(pass);
    }
  }

  /** Records that the dependency was unavailable. Returns whether that opened the breaker. */
  fail(pass: Pass): boolean {
    if (pass !== this.#state) return false;
    if (pass.kind === 'closed' && ++pass.failuresInRow < this.#options.failureThreshold) return false;
    return this.trip();
  }

  /** Records a call without an outcome, because its caller canceled it. */
  leave(pass: Pass): void {
    if (pass === this.#state && pass.kind === 'half-open') pass.trials--;
  }

  /** Records a successful probe. It allows trial calls; without any, further probes close the breaker. */
  probeSucceeded(): void {
    const state = this.#current();
    if (state.kind === 'open') this.#state = { kind: 'half-open', trials: 0, successes: 0 };
    else if (state.kind === 'half-open') this.#countSuccess(state);
  }

  /** Opens immediately. Returns false if it was already open. */
  trip(): boolean {
    if (this.#current().kind === 'open') return false;
    const { nowMs, recoveryTimeoutMs } = this.#options;
    this.#state = { kind: 'open', untilMs: nowMs() + recoveryTimeoutMs };
    return true;
  }

  #countSuccess(state: Extract<State, { kind: 'half-open' }>): void {
    if (++state.successes >= TRIALS_MAX) this.#state = { kind: 'closed', failuresInRow: 0 };
  }

  /** The state now: an open breaker becomes half-open when its recovery time is over. */
  #current(): State {
    if (this.#state.kind === 'open' && this.#options.nowMs() >= this.#state.untilMs)
      this.#state = { kind: 'half-open', trials: 0, successes: 0 };
    return this.#state;
  }
}
