import { type Attributes, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { sleep } from '../utils/sleep.ts';
import type { Tier } from '../utils/tier.ts';
import { AdaptiveTimeout, CallTimeout } from './adaptive-timeout.ts';
import { Bulkhead, BulkheadFull } from './bulkhead.ts';
import { CallStats } from './call-stats.ts';
import { type RunningWork, startWork } from './cancellable-work.ts';
import { BreakerOpen, type BreakerState, CircuitBreaker, type Pass } from './circuit-breaker.ts';
import { HealthMonitor } from './health-monitor.ts';
import { Probe } from './probe.ts';
import { backoffMs, RetryBudget } from './retry.ts';

/** How a dependency is called. */
export interface DependencyOptions {
  readonly name: string;
  /** Calls at a time, and how many of each tier may wait for one to end. */
  readonly concurrencyMax: number;
  readonly waitingMax: number;
  /** Bounds of the adaptive timeout of one attempt. Where both are the same, the timeout is fixed. */
  readonly timeoutFloorMs: number;
  readonly timeoutMaxMs: number;
  /** Attempts of a call that may be repeated, the first one included; 1 repeats none. */
  readonly attemptsMax?: number;
  /** Failures in a row that open the breaker, and after how long it lets calls try at the latest. */
  readonly failureThreshold: number;
  readonly recoveryTimeoutMs: number;
  /** Where it is set: a probe is made when nothing was answered for so long, and when it fails, the breaker opens. */
  readonly silenceMs?: number;
  /** What each span says beside its name, in the words of OpenTelemetry's semantic conventions. */
  readonly attributes?: Attributes;
  /** Whether an error shows that the dependency is away. Every other error is an answer of it. */
  isFailure(error: unknown): boolean;
  /** Asks something cheap, on a way of its own. Rejects when the dependency is away. */
  probe(signal: AbortSignal): Promise<unknown>;
  /** What callers get instead of a `BreakerOpen`, `BulkheadFull` or `CallTimeout`, which is the cause. */
  unavailable(cause: unknown): Error;
  /** Told when the breaker opens, as connections may be dead; and when it fell silent, before what runs is given up. */
  onOpened?(isSilent: boolean): void;
}

/** How one call is made. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Whether making it twice does what making it once does. Only then is it retried. */
  readonly idempotent?: boolean;
  /** The time for everything, waits and retries included. An attempt has the adaptive timeout in any case. */
  readonly timeoutMs?: number;
  readonly tier?: Tier;
}

/** What has become of the calls since the start, for metrics and status. */
export interface DependencyStats
  extends Readonly<
    Pick<CallStats, 'outcomes' | 'buckets' | 'sumMs' | 'retries' | 'retriesDenied' | 'abandoned'>
  > {
  readonly name: string;
  readonly state: BreakerState;
  readonly inFlight: number;
  readonly waiting: number;
}

interface Attempt<T> {
  readonly work: (signal: AbortSignal) => PromiseLike<T>;
  readonly timeout: AdaptiveTimeout;
  readonly untilMs: number;
  readonly signal: AbortSignal | undefined;
  readonly tier: Tier;
}

const OUTCOMES = {
  answered: 'ok',
  threw: 'error',
  expired: 'timeout',
  aborted: 'aborted',
  died: 'failure',
} as const;
// Each operation has a timeout of its own; those beyond share one, so that names cannot fill the memory.
const OPERATIONS_MAX = 32;

const tracer = trace.getTracer('atlas');

/**
 * Everything between Atlas and something outside in one place, because each part needs to know what the others found:
 * bulkhead, circuit breaker, adaptive timeout, retries within a budget, a span and stats.
 */
export class Dependency {
  readonly #options: DependencyOptions;
  readonly #breaker: CircuitBreaker;
  readonly #bulkhead: Bulkhead;
  readonly #budget = new RetryBudget();
  readonly #probe: Probe;
  readonly #watch: HealthMonitor;
  readonly #timeouts = new Map<string, AdaptiveTimeout>();
  readonly #running = new Set<RunningWork>();
  readonly #stats = new CallStats();

  constructor(options: DependencyOptions) {
    this.#options = options;
    this.#breaker = new CircuitBreaker({ ...options, nowMs: () => performance.now() });
    this.#bulkhead = new Bulkhead(options);
    this.#probe = new Probe(options.name, (signal) => options.probe(signal));
    this.#watch = new HealthMonitor({
      breaker: this.#breaker,
      probe: this.#probe,
      silenceMs: options.silenceMs,
      isBusy: () => this.#running.size > 0,
      onSilent: () => this.#opened(options.silenceMs !== undefined),
    });
  }

  get name(): string {
    return this.#options.name;
  }

  get state(): BreakerState {
    return this.#breaker.state;
  }

  /**
   * Does work that needs the dependency. The work gets a signal that aborts with that of the caller, at the timeout,
   * and when the dependency is found dead; the call rejects at once then, and its slot is free when the work has
   * ended. Throws what the work throws, the reason of the caller's signal, or what `unavailable` makes.
   */
  async call<T>(
    operation: string,
    work: (signal: AbortSignal) => PromiseLike<T>,
    { signal, idempotent = false, timeoutMs = Number.POSITIVE_INFINITY, tier = 'default' }: CallOptions = {},
  ): Promise<T> {
    signal?.throwIfAborted();
    const { name, attributes, attemptsMax = 1, unavailable } = this.#options;
    const span = tracer.startSpan(`${name} ${operation}`, {
      kind: SpanKind.CLIENT,
      attributes: attributes ?? {},
    });
    const untilMs = performance.now() + timeoutMs;
    const attempt = { work, timeout: this.#timeoutOf(operation), untilMs, signal, tier };
    this.#budget.deposit();
    try {
      for (let attempts = 1; ; attempts++) {
        try {
          return await this.#attempt(attempt);
        } catch (error) {
          const mayRepeat =
            idempotent && attempts < attemptsMax && this.#isUnavailable(error) && !signal?.aborted;
          if (!mayRepeat || !(await this.#backOff(attempts, untilMs, signal))) throw error;
        }
      }
    } catch (error) {
      markFailed(span, error);
      if (signal?.aborted || !isRefusal(error)) throw error;
      throw unavailable(error);
    } finally {
      span.end();
    }
  }

  /** Milliseconds that a probe took; rejects when there is no answer within a second. */
  ping(): Promise<number> {
    return this.#probe.ping();
  }

  stats(): DependencyStats {
    const { outcomes, buckets, sumMs, retries, retriesDenied, abandoned } = this.#stats;
    const { inFlight, waiting } = this.#bulkhead;
    const { name, state } = this;
    return { name, state, outcomes, buckets, sumMs, retries, retriesDenied, abandoned, inFlight, waiting };
  }

  /** Ends its timer. What runs goes on. */
  close(): void {
    this.#watch.close();
  }

  /** Waits before a retry. False where none may be made: it would be too late, or the budget is used up. */
  async #backOff(attempts: number, untilMs: number, signal: AbortSignal | undefined): Promise<boolean> {
    const waitMs = backoffMs(attempts);
    if (performance.now() + waitMs >= untilMs) return false;
    if (!this.#budget.withdraw()) {
      this.#stats.retriesDenied++;
      return false;
    }
    this.#stats.retries++;
    await sleep(waitMs, signal);
    return !signal?.aborted;
  }

  async #attempt<T>(attempt: Attempt<T>): Promise<T> {
    const { tier, signal, untilMs } = attempt;
    const { name, timeoutMaxMs } = this.#options;
    // Asked before the line, so that nobody waits in it for what will not come.
    if (this.#breaker.state === 'open') throw this.#refuse('refused_open', new BreakerOpen(name));
    const timeoutMs = Math.max(0, Math.min(timeoutMaxMs, untilMs - performance.now()));
    try {
      const turn = this.#bulkhead.enter(tier, { signal, timeoutMs });
      if (turn !== null) await turn;
    } catch (error) {
      if (error instanceof BulkheadFull) throw this.#refuse('refused_full', error);
      throw error instanceof BreakerOpen ? this.#refuse('refused_open', error) : error;
    }
    if (signal?.aborted) {
      this.#bulkhead.leave(tier);
      throw signal.reason;
    }
    const pass = this.#breaker.enter();
    if (pass === null) {
      this.#bulkhead.leave(tier);
      throw this.#refuse('refused_open', new BreakerOpen(name));
    }
    return this.#run(attempt, pass);
  }

  /** Starts the work, and takes note of how it ends. */
  #run<T>({ work, timeout, untilMs, signal, tier }: Attempt<T>, pass: Pass): Promise<T> {
    const { name, isFailure } = this.#options;
    const { timeoutMs } = timeout;
    const leftMs = Math.max(0, untilMs - performance.now());
    if (this.#running.size === 0) this.#watch.begin();
    return startWork(work, {
      name: `a call of ${name}`,
      limitMs: Math.min(timeoutMs, leftMs),
      signal,
      among: this.#running,
      settled: (ending, durationMs, error) => {
        const outcome = ending === 'threw' && isFailure(error) ? 'failure' : OUTCOMES[ending];
        this.#stats.count(outcome, durationMs);
        // A caller in a hurry says nothing of the dependency.
        if (outcome === 'aborted' || (outcome === 'timeout' && leftMs < timeoutMs)) this.#breaker.leave(pass);
        else if (outcome === 'ok' || outcome === 'error') {
          this.#watch.hear();
          this.#breaker.succeed(pass);
        } else if (this.#breaker.fail(pass)) this.#opened(false);
        if (outcome === 'ok') timeout.observe(durationMs);
        if (outcome === 'timeout' && leftMs >= timeoutMs) timeout.observe(timeoutMs);
      },
      ended: (wasAbandoned) => {
        this.#bulkhead.leave(tier);
        if (wasAbandoned) this.#stats.abandoned++;
      },
    });
  }

  #opened(isSilent: boolean): void {
    this.#bulkhead.refuseWaiting(new BreakerOpen(this.name));
    this.#watch.start();
    this.#options.onOpened?.(isSilent);
    if (!isSilent) return;
    // Nothing is answered any more: whoever waits is told now instead of at the end of the timeout.
    for (const running of [...this.#running]) running.die(new BreakerOpen(this.name));
  }

  #timeoutOf(operation: string): AdaptiveTimeout {
    const name = this.#timeouts.size < OPERATIONS_MAX || this.#timeouts.has(operation) ? operation : '';
    let timeout = this.#timeouts.get(name);
    if (timeout === undefined) {
      timeout = new AdaptiveTimeout({
        floorMs: this.#options.timeoutFloorMs,
        maxMs: this.#options.timeoutMaxMs,
      });
      this.#timeouts.set(name, timeout);
    }
    return timeout;
  }

  #refuse(outcome: 'refused_open' | 'refused_full', error: Error): Error {
    this.#stats.outcomes[outcome]++;
    return error;
  }

  /** Whether an attempt found the dependency away; one that was not made found nothing. */
  #isUnavailable(error: unknown): boolean {
    return error instanceof CallTimeout || (!isRefusal(error) && this.#options.isFailure(error));
  }
}

/** Whether this is the doing of the dependency's guards, and not of its caller or its work. */
function isRefusal(error: unknown): boolean {
  return error instanceof BreakerOpen || error instanceof BulkheadFull || error instanceof CallTimeout;
}

function markFailed(span: Span, error: unknown): void {
  span.setStatus({ code: SpanStatusCode.ERROR });
  span.setAttribute('error.type', error instanceof Error ? error.name : typeof error);
}
