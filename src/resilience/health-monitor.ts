import type { CircuitBreaker } from './circuit-breaker.ts';
import type { Probe } from './probe.ts';

/** Collaborators of a health monitor. */
export interface HealthMonitorOptions {
  readonly breaker: CircuitBreaker;
  readonly probe: Probe;
  /** Time without a response after which a closed breaker is probed; undefined for never. */
  readonly silenceMs: number | undefined;
  /** Whether calls are waiting for a response. */
  isBusy(): boolean;
  /** Called when neither a call nor a probe got a response. The breaker is open by then. */
  onSilent(): void;
}

const TICK_MS = 250;
const PROBE_EVERY_MS = 1000;

/**
 * Probes a dependency every second while its breaker is not closed, or while it is closed but calls get no response.
 * The timer runs only while there is something to monitor.
 */
export class HealthMonitor {
  readonly #options: HealthMonitorOptions;
  #timer: Timer | null = null;
  #responses = 0;
  /** When the last response arrived, or when calls started after an idle period. */
  #responseMs = 0;
  #probeDueMs = 0;
  #isProbing = false;
  #isClosed = false;

  constructor(options: HealthMonitorOptions) {
    this.#options = options;
  }

  /** Records that a call starts while no other is running. */
  callsStarted(): void {
    this.#responseMs = performance.now();
    if (this.#options.silenceMs !== undefined) this.start();
  }

  /** Records a response from the dependency. */
  responseReceived(): void {
    this.#responses++;
    this.#responseMs = performance.now();
  }

  /** Starts the timer, which stops when there is nothing left to monitor. */
  start(): void {
    if (this.#timer !== null || this.#isClosed) return;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    // The process may exit while a dependency is unavailable.
    this.#timer.unref();
  }

  close(): void {
    this.#isClosed = true;
    this.#stop();
  }

  #stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #tick(): void {
    const { breaker, silenceMs, isBusy } = this.#options;
    const nowMs = performance.now();
    if (breaker.state === 'closed') {
      if (silenceMs === undefined || !isBusy()) this.#stop();
      if (silenceMs === undefined || nowMs - this.#responseMs < silenceMs) return;
    }
    if (this.#isProbing || nowMs < this.#probeDueMs) return;
    this.#probeDueMs = nowMs + PROBE_EVERY_MS;
    void this.#check();
  }

  async #check(): Promise<void> {
    const { breaker, probe, isBusy, silenceMs = Number.POSITIVE_INFINITY, onSilent } = this.#options;
    const responsesBefore = this.#responses;
    this.#isProbing = true;
    const isAlive = await probe.ping().then(
      () => true,
      () => false,
    );
    // After a stall of this process, timers fire before pending responses are read; one turn later they have been.
    await new Promise(setImmediate);
    this.#isProbing = false;
    if (this.#isClosed) return;
    // A response since then outweighs a failed probe: calls are refused only if both are missing.
    const isSilent = this.#responses === responsesBefore && isBusy();
    if (isAlive) breaker.probeSucceeded();
    // If failures of other calls have opened the breaker already, running calls keep their time until silenceMs.
    else if (isSilent && (breaker.trip() || performance.now() - this.#responseMs >= silenceMs)) onSilent();
  }
}
