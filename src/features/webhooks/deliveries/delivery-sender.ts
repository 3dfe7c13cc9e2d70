import { OutgoingError, type OutgoingHttp } from '../../../adapters/http/outgoing-http.ts';
import type { BackgroundLoop } from '../../../resilience/background-loops.ts';
import { BUCKETS_MS, bucketOf } from '../../../utils/buckets.ts';
import { sleep } from '../../../utils/sleep.ts';
import type { SendingStats } from './delivery-metrics.ts';
import { type AttemptResult, type Claim, decide, messageIdOf } from './domain.ts';
import type { DeliveryRepository } from './repository.ts';
import { signatureHeaders } from './signature.ts';

const IN_FLIGHT_MAX = 64;
const POLL_MS = 200;
const TIMEOUT_MS = 15_000;
// On a stop, what is being sent may still be answered for so long. What is not is sent again.
const STOP_GRACE_MS = 1000;
// Together well within a lease, after which others send it again.
const SETTLE_TRIES_MAX = 30;
const SETTLE_WAIT_MS = 1000;
const BACKLOG_LOOK_MS = 15_000;
// Answered with a status that is no success.
const REFUSED = 'status';

/** Sends what is due to the targets, as one of several hosts that share the work through PostgreSQL. */
export class DeliverySender implements BackgroundLoop {
  readonly name = 'webhook deliveries';
  readonly #repository: DeliveryRepository;
  readonly #http: Pick<OutgoingHttp, 'post'>;
  readonly #onError: (error: unknown) => void;
  readonly #inFlight = new Set<Promise<void>>();
  readonly #attempts = new Map<string, number>();
  readonly #buckets = new Float64Array(BUCKETS_MS.length + 1);
  #givenUp = 0;
  #disabled = 0;
  #sumMs = 0;
  #backlog = { dueCount: 0, dueAgeSeconds: 0, disabledWebhooks: 0 };
  #nextLookMs = 0;

  constructor(
    repository: DeliveryRepository,
    http: Pick<OutgoingHttp, 'post'>,
    onError: (error: unknown) => void,
  ) {
    this.#repository = repository;
    this.#http = http;
    this.#onError = onError;
  }

  readonly run = async (signal: AbortSignal): Promise<void> => {
    const cut = new AbortController();
    const grace = () => setTimeout(() => cut.abort(), STOP_GRACE_MS);
    signal.addEventListener('abort', grace, { once: true });
    this.#nextLookMs = 0;
    try {
      while (!signal.aborted) {
        if (performance.now() >= this.#nextLookMs) void this.#look(signal);
        const free = IN_FLIGHT_MAX - this.#inFlight.size;
        const claims = free > 0 ? await this.#repository.claim(free, cut.signal) : [];
        for (const claim of claims) this.#begin(claim, cut.signal);
        const polled = sleep(POLL_MS, signal);
        // While there was something to claim, the next place that is free is used at once.
        await (claims.length > 0 || free === 0 ? Promise.race([...this.#inFlight, polled]) : polled);
      }
    } finally {
      await Promise.all(this.#inFlight);
      signal.removeEventListener('abort', grace);
      this.#backlog = { dueCount: 0, dueAgeSeconds: 0, disabledWebhooks: 0 };
    }
  };

  stats(): SendingStats {
    return {
      attempts: this.#attempts,
      givenUp: this.#givenUp,
      disabled: this.#disabled,
      inFlight: this.#inFlight.size,
      sumMs: this.#sumMs,
      buckets: this.#buckets,
      ...this.#backlog,
    };
  }

  /** Counts what waits, beside the sending: no webhook waits for a figure. Never rejects. */
  async #look(signal: AbortSignal): Promise<void> {
    this.#nextLookMs = Number.POSITIVE_INFINITY;
    try {
      const backlog = await this.#repository.backlog(signal);
      if (!signal.aborted) this.#backlog = backlog;
    } catch (error) {
      if (!signal.aborted) this.#onError(error);
    }
    if (!signal.aborted) this.#nextLookMs = performance.now() + BACKLOG_LOOK_MS;
  }

  #begin(claim: Claim, cut: AbortSignal): void {
    // Never rejects: what cannot be written down is told, and comes again when its lease ends.
    const work = this.#deliver(claim, cut)
      .catch(this.#onError)
      .finally(() => this.#inFlight.delete(work));
    this.#inFlight.add(work);
  }

  async #deliver(claim: Claim, cut: AbortSignal): Promise<void> {
    const result = await this.#send(claim, cut);
    if (result === null) return this.#repository.release(claim);
    this.#count(result);
    const verdict = decide(result, claim.tries, Date.now(), Math.random());
    for (let tries = 1; ; tries++) {
      try {
        const { disabled } = await this.#repository.settle(claim, result, verdict);
        if (verdict.state === 'failed') this.#givenUp++;
        if (disabled) this.#disabled++;
        return;
      } catch (error) {
        // The target has it: better to wait for the database than to send it again.
        if (tries === SETTLE_TRIES_MAX || cut.aborted) throw error;
        await sleep(SETTLE_WAIT_MS, cut);
      }
    }
  }

  /** One attempt. Null when it was cut off by the end of this worker, so that nobody knows how it went. */
  async #send(claim: Claim, cut: AbortSignal): Promise<AttemptResult | null> {
    const { url, body, secrets } = claim;
    const id = messageIdOf(claim.eventId, claim.webhookId);
    const signed = signatureHeaders({ id, timestampSeconds: Math.floor(Date.now() / 1000), body }, secrets);
    const headers = { 'Content-Type': 'application/json', 'User-Agent': 'Atlas', ...signed };
    const startMs = performance.now();
    const end = (status: number | null, failure: string | null, retryAfter: string | null = null) => ({
      durationMs: Math.round(performance.now() - startMs),
      status,
      failure,
      retryAfter,
    });
    try {
      const answer = await this.#http.post({ url, headers, body, timeoutMs: TIMEOUT_MS, signal: cut });
      const isSuccess = answer.status >= 200 && answer.status <= 299;
      return end(answer.status, isSuccess ? null : REFUSED, answer.retryAfter);
    } catch (error) {
      if (cut.aborted) return null;
      if (error instanceof OutgoingError) return end(null, error.failure);
      this.#onError(error);
      return end(null, 'internal');
    }
  }

  #count({ failure, durationMs }: AttemptResult): void {
    const outcome = failure ?? 'delivered';
    this.#attempts.set(outcome, (this.#attempts.get(outcome) ?? 0) + 1);
    this.#sumMs += durationMs;
    this.#buckets[bucketOf(durationMs)]!++;
  }
}
