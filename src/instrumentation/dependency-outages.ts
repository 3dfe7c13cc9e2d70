import type { AtlasError } from '../errors.ts';
import { BreakerOpen, type BreakerState } from '../resilience/circuit-breaker.ts';
import type { Logger } from './logger.ts';

/** A dependency with a circuit breaker. */
export interface Breaker {
  readonly name: string;
  readonly state: BreakerState;
}

type Failed = 'requests' | 'background';

interface Outage {
  readonly message: string;
  readonly sinceMs: number;
  readonly remedy: string | undefined;
  /** Dependencies whose breaker was found open. */
  readonly breakers: Set<string>;
  cause: string | undefined;
  requests: number;
  summarizedRequests: number;
  background: number;
  summarizedBackground: number;
  summarizedMs: number;
  lastMs: number;
}

const SUMMARY_MS = 10_000;
// With traffic, an outage that is over shows within this time.
const QUIET_MS = 5000;
const CHECK_MS = 1000;
const OUTAGES_MAX = 32;

/**
 * Logs unavailable dependencies: a line when requests or background work begin to fail, a summary at intervals while
 * they do, and a line when they no longer do, however many fail.
 */
export class DependencyOutages {
  readonly #logger: Logger;
  readonly #breakers: readonly Breaker[];
  readonly #outages = new Map<string, Outage>();
  #timer: Timer | null = null;

  constructor(logger: Logger, breakers: readonly Breaker[]) {
    this.#logger = logger;
    this.#breakers = breakers;
  }

  /** Records that something failed. Several errors of one dependency that is down are one outage. */
  failed({ message, cause, remedy }: AtlasError, what: Failed = 'requests'): void {
    const text = cause instanceof Error ? cause.message : undefined;
    // What needs an operator is about one table or role, and each has its own remedy.
    const key = remedy === undefined ? message : `${message} ${text}`;
    const nowMs = performance.now();
    const outage = this.#outages.get(key) ?? this.#begin(key, { message, remedy, cause: text }, nowMs, what);
    if (outage === null) return;
    outage[what]++;
    outage.lastMs = nowMs;
    if (cause instanceof BreakerOpen) outage.breakers.add(cause.dependency);
    else outage.cause = text;
  }

  /** Logs the summaries that are due, and the outages that are over. */
  check(): void {
    const nowMs = performance.now();
    for (const [key, outage] of this.#outages) {
      if (nowMs - outage.lastMs >= QUIET_MS && !this.#isOpen(outage)) this.#end(key, outage, nowMs);
      else if (nowMs - outage.summarizedMs >= SUMMARY_MS) this.#summarize(outage, nowMs);
    }
    if (this.#outages.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }

  #begin(
    key: string,
    found: Pick<Outage, 'message' | 'remedy' | 'cause'>,
    nowMs: number,
    what: Failed,
  ): Outage | null {
    if (this.#outages.size >= OUTAGES_MAX) return null;
    const outage: Outage = {
      ...found,
      sinceMs: nowMs,
      breakers: new Set(),
      requests: 0,
      // The line of the beginning is about the first.
      summarizedRequests: what === 'requests' ? 1 : 0,
      background: 0,
      summarizedBackground: what === 'background' ? 1 : 0,
      summarizedMs: nowMs,
      lastMs: nowMs,
    };
    this.#outages.set(key, outage);
    this.#logger.warn(aboutOf(outage), outage.message);
    if (this.#timer === null) {
      this.#timer = setInterval(() => this.check(), CHECK_MS);
      this.#timer.unref();
    }
    return outage;
  }

  #summarize(outage: Outage, nowMs: number): void {
    const requests = outage.requests - outage.summarizedRequests;
    const background = outage.background - outage.summarizedBackground;
    const seconds = Math.round((nowMs - outage.sinceMs) / 1000);
    outage.summarizedRequests = outage.requests;
    outage.summarizedBackground = outage.background;
    outage.summarizedMs = nowMs;
    this.#logger.warn({ ...aboutOf(outage), requests, background, seconds }, `still: ${outage.message}`);
  }

  #end(key: string, { message, cause, requests, background, sinceMs, lastMs }: Outage, nowMs: number): void {
    this.#outages.delete(key);
    const seconds = Math.round((lastMs - sinceMs) / 1000);
    const quietSeconds = Math.round((nowMs - lastMs) / 1000);
    this.#logger.info({ cause, requests, background, seconds, quietSeconds }, `over: ${message}`);
  }

  #isOpen({ breakers }: Outage): boolean {
    return this.#breakers.some(({ name, state }) => breakers.has(name) && state !== 'closed');
  }
}

function aboutOf({ cause, remedy }: Outage): { cause: string | undefined; do?: string } {
  return remedy === undefined ? { cause } : { cause, do: remedy };
}
