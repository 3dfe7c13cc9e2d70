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

/** Settings of a dependency. */
export interface DependencyOptions {
  readonly name: string;
  /** Maximum concurrent calls, and maximum queued calls of each tier. */
  readonly concurrencyMax: number;
  readonly waitingMax: number;
  /** Bounds of the adaptive timeout per attempt. If they are equal, the timeout is fixed. */
  readonly timeoutFloorMs: number;
  readonly timeoutMaxMs: number;
  /** Attempts of an idempotent call, including the first; 1 disables retries. */
  readonly attemptsMax?: number;
  /** Consecutive failures that open the breaker, and the longest time until it allows trial calls. */
  readonly failureThreshold: number;
  readonly recoveryTimeoutMs: number;
  /** If set, calls without any response for this long trigger a probe, and the breaker opens if that fails too. */
  readonly silenceMs?: number;
  /** Attributes of each span, by OpenTelemetry's semantic conventions. */
  readonly attributes?: Attributes;
  /** Whether an error shows that the dependency is unavailable. Any other error is a response from it. */
  isFailure(error: unknown): boolean;
  /** Makes a cheap request on a separate connection. Rejects if the dependency is unavailable. */
  probe(signal: AbortSignal): Promise<unknown>;
  /** Maps a `BreakerOpen`, `BulkheadFull` or `CallTimeout` to the error that callers get. */
  unavailable(cause: unknown): Error;
  /** Called when the breaker opens, as connections may be dead, and on silence, before running calls are canceled. */
  onOpened?(isSilent: boolean): void;
}

/** Options of one call. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Whether the call may safely be repeated. Only idempotent calls are retried. */
  readonly idempotent?: boolean;
  /** Total time, including waits and retries. Each attempt has the adaptive timeout in addition. */
  readonly timeoutMs?: number;
  readonly tier?: Tier;
  /** Called for each attempt that was started, when its slot is released. */
  readonly onEnded?: (() => void) | undefined;
}

/** Counters since the start and the current state, for metrics and status. */
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
  readonly onEnded: (() => void) | undefined;
}

const OUTCOMES = {
  returned: 'ok',
  threw: 'error',
  expired: 'timeout',
  aborted: 'aborted',
  killed: 'failure',
} as const;
// Each operation has its own timeout. Beyond this many they share one, so that memory stays bounded.
const OPERATIONS_MAX = 32;

const tracer = trace.getTracer('atlas');

/**
 * Guards calls to an external system: bulkhead, circuit breaker, adaptive timeout, retries within a budget, a span and
 * stats. They are in one place because each depends on what the others observe.
 */
export class Dependency {
  readonly #options: DependencyOptions;
  readonly #breaker: CircuitBreaker;
  readonly #bulkhead: Bulkhead;
  readonly #budget = new RetryBudget();
  readonly #probe: Probe;
  readonly #monitor: HealthMonitor;
  readonly #timeouts = new Map<string, AdaptiveTimeout>();
  readonly #running = new Set<RunningWork>();
  readonly #stats = new CallStats();

  constructor(options: DependencyOptions) {
    this.#options = options;
    this.#breaker = new CircuitBreaker({ ...options, nowMs: () => performance.now() });
    this.#bulkhead = new Bulkhead(options);
    this.#probe = new Probe(options.name, (signal) => options.probe(signal));
    this.#monitor = new HealthMonitor({
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
   * Runs work that needs the dependency. Its signal aborts with the caller's, at the timeout, and when the dependency
   * is found dead. The call then rejects immediately; its slot is released when the work has ended. Throws what the
   * work throws, the reason of the caller's signal, or the error that `unavailable` returns.
   */
  async call<T>(
    operation: string,
    work: (signal: AbortSignal) => PromiseLike<T>,
    options: CallOptions = {},
  ): Promise<T> {
    const {
      signal,
      idempotent = false,
      timeoutMs = Number.POSITIVE_INFINITY,
      tier = 'default',
      onEnded,
    } = options;
    signal?.throwIfAborted();
    const { name, attributes, attemptsMax = 1, unavailable } = this.#options;
    const span = tracer.startSpan(`${name} ${operation}`, {
      kind: SpanKind.CLIENT,
      attributes: attributes ?? {},
    });
    const untilMs = performance.now() + timeoutMs;
    const attempt = { work, timeout: this.#timeoutOf(operation), untilMs, signal, tier, onEnded };
    this.#budget.deposit();
    try {
      for (let attempts = 1; ; attempts++) {
        try {
          return await this.#attempt(attempt);
        } catch (error) {
          const mayRetry =
            idempotent && attempts < attemptsMax && this.#isUnavailable(error) && !signal?.aborted;
          if (!mayRetry || !(await this.#backOff(attempts, untilMs, signal))) throw error;
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

  /** Returns the milliseconds that a probe took. Rejects if there is no response within a second. */
  ping(): Promise<number> {
    return this.#probe.ping();
  }

  stats(): DependencyStats {
    const { outcomes, buckets, sumMs, retries, retriesDenied, abandoned } = this.#stats;
    const { inFlight, waiting } = this.#bulkhead;
    const { name, state } = this;
    return { name, state, outcomes, buckets, sumMs, retries, retriesDenied, abandoned, inFlight, waiting };
  }

  /** Stops the health monitor. Running calls continue. */
  close(): void {
    this.#monitor.close();
  }

  /** Waits before a retry. Returns false if it would be too late, or if the budget is exhausted. */
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
    // Check before queueing: an open breaker would make the wait pointless.
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

  /** Starts the work and records its outcome. */
  #run<T>({ work, timeout, untilMs, signal, tier, onEnded }: Attempt<T>, pass: Pass): Promise<T> {
    const { name, isFailure } = this.#options;
    const { timeoutMs } = timeout;
    const leftMs = Math.max(0, untilMs - performance.now());
    if (this.#running.size === 0) this.#monitor.callsStarted();
    return startWork(work, {
      name: `a call to ${name}`,
      limitMs: Math.min(timeoutMs, leftMs),
      signal,
      running: this.#running,
      onSettled: (ending, durationMs, error) => {
        const outcome = ending === 'threw' && isFailure(error) ? 'failure' : OUTCOMES[ending];
        this.#stats.count(outcome, durationMs);
        // A short deadline of the caller says nothing about the dependency.
        if (outcome === 'aborted' || (outcome === 'timeout' && leftMs < timeoutMs)) this.#breaker.leave(pass);
        else if (outcome === 'ok' || outcome === 'error') {
          this.#monitor.responseReceived();
          this.#breaker.succeed(pass);
        } else if (this.#breaker.fail(pass)) this.#opened(false);
        if (outcome === 'ok') timeout.observe(durationMs);
        if (outcome === 'timeout' && leftMs >= timeoutMs) timeout.observe(timeoutMs);
      },
      onEnded: (wasAbandoned) => {
        this.#bulkhead.leave(tier);
        onEnded?.();
        if (wasAbandoned) this.#stats.abandoned++;
      },
    });
  }

  #opened(isSilent: boolean): void {
    this.#bulkhead.refuseWaiting(new BreakerOpen(this.name));
    this.#monitor.start();
    this.#options.onOpened?.(isSilent);
    if (!isSilent) return;
    // No response is expected any more, so callers get an error now instead of at the timeout.
    for (const work of [...this.#running]) work.kill(new BreakerOpen(this.name));
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

  /** Whether an attempt found the dependency unavailable. One that was refused found nothing. */
  #isUnavailable(error: unknown): boolean {
    return error instanceof CallTimeout || (!isRefusal(error) && this.#options.isFailure(error));
  }
}

/** Whether an error comes from the guards and not from the caller or the work. */
function isRefusal(error: unknown): boolean {
  return error instanceof BreakerOpen || error instanceof BulkheadFull || error instanceof CallTimeout;
}

function markFailed(span: Span, error: unknown): void {
  span.setStatus({ code: SpanStatusCode.ERROR });
  span.setAttribute('error.type', error instanceof Error ? error.name : typeof error);
}
