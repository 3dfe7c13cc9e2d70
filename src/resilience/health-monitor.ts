import type { CircuitBreaker } from './circuit-breaker.ts';
import type { Probe } from './probe.ts';

/** What a watch looks at, and whom it tells. */
export interface HealthMonitorOptions {
  readonly breaker: CircuitBreaker;
  readonly probe: Probe;
  /** After so long without an answer a closed breaker is doubted; undefined never doubts. */
  readonly silenceMs: number | undefined;
  /** Whether anybody waits for an answer. */
  isBusy(): boolean;
  /** Told when neither a call nor a probe was answered. The breaker is open then, if it was not before. */
  onSilent(): void;
}

const TICK_MS = 250;
const PROBE_EVERY_MS = 1000;

/**
 * Probes a dependency each second while its breaker is not closed, and while it is closed but nothing was answered for
 * a while. Its timer runs only as long as there is something to look at.
 */
export class HealthMonitor {
  readonly #options: HealthMonitorOptions;
  #timer: Timer | null = null;
  #answers = 0;
  /** When it was last heard of, or began to be asked after a rest. */
  #heardMs = 0;
  #probeDueMs = 0;
  #isProbing = false;
  #isClosed = false;

  constructor(options: HealthMonitorOptions) {
    this.#options = options;
  }

  /** A call begins, and no other was out. */
  begin(): void {
    this.#heardMs = performance.now();
    if (this.#options.silenceMs !== undefined) this.start();
  }

  /** The dependency answered something. */
  hear(): void {
    this.#answers++;
    this.#heardMs = performance.now();
  }

  /** Looks from now on, until there is nothing to look at. */
  start(): void {
    if (this.#timer !== null || this.#isClosed) return;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    // The process may end while a dependency is away.
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
      if (silenceMs === undefined || nowMs - this.#heardMs < silenceMs) return;
    }
    if (this.#isProbing || nowMs < this.#probeDueMs) return;
    this.#probeDueMs = nowMs + PROBE_EVERY_MS;
    void this.#look();
  }

  async #look(): Promise<void> {
    const { breaker, probe, isBusy, silenceMs = Number.POSITIVE_INFINITY, onSilent } = this.#options;
    const answersBefore = this.#answers;
    this.#isProbing = true;
    const isAlive = await probe.ping().then(
      () => true,
      () => false,
    );
    // After a stall of this process timers come before what has arrived meanwhile: one turn later it has been read.
    await new Promise(setImmediate);
    this.#isProbing = false;
    if (this.#isClosed) return;
    // An answer since then is a better witness than the probe: only where both are missing nobody is let through.
    const isSilent = this.#answers === answersBefore && isBusy();
    if (isAlive) breaker.hearProbe();
    // Open already: failures of other calls were quicker, and what runs waits on.
    else if (isSilent && (breaker.trip() || performance.now() - this.#heardMs >= silenceMs)) onSilent();
  }
}
