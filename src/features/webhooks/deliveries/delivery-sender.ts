import { OutgoingError, type OutgoingHttp } from '../../../adapters/http/outgoing-http.ts';
import type { BackgroundLoop } from '../../../resilience/background-loops.ts';
import { BUCKETS_MS, bucketOf } from '../../../utils/buckets.ts';
import { SealingError } from '../../../utils/sealing.ts';
import { sleep } from '../../../utils/sleep.ts';
import { throttle } from '../../../utils/throttle.ts';
import type { SendingStats } from './delivery-metrics.ts';
import {
  type AttemptResult,
  type Claim,
  decide,
  messageIdOf,
  SECRET_WAIT_MS,
  SLOTS_PER_OWNER,
} from './domain.ts';
import type { DeliveryRepository } from './repository.ts';
import { signatureHeaders } from './signature.ts';

// All that are in flight, most of which may be waiting for targets that do not respond.
const IN_FLIGHT_MAX = 256;
// Of those, how many may be new. An attempt that takes long costs little more than its connection.
const NEW_MAX = 64;
const NEW_MS = 1000;
const POLL_MS = 200;
// How often to look for deliveries whose process has died: with its last renewal, they wait for less than 5 s.
const FREE_LOST_MS = 500;
const TIMEOUT_MS = 15_000;
// On a stop, targets have this long to respond to attempts in flight. Unfinished ones are sent again.
const STOP_GRACE_MS = 1000;
// Together well within a lease, after which another host sends the delivery again.
const SETTLE_TRIES_MAX = 30;
const SETTLE_WAIT_MS = 1000;
const MEASURE_MS = 15_000;
const REPORT_MS = 60_000;
// The target responded, but not with a 2xx status.
const BAD_STATUS = 'status';
// Not an attempt: nothing was sent.
const SECRET_UNAVAILABLE = 'secret_unavailable';

/** Returns a secret of a webhook from its record. Throws `SealingError`. */
export type OpenSecret = (webhookId: string, record: string) => Uint8Array;

/** Sends due deliveries. Hosts share the work through PostgreSQL. */
export class DeliverySender implements BackgroundLoop {
  readonly name = 'webhook deliveries';
  readonly #repository: DeliveryRepository;
  readonly #http: Pick<OutgoingHttp, 'post'>;
  readonly #onError: (error: unknown) => void;
  readonly #open: OpenSecret;
  readonly #reportClosed: (error: unknown) => void;
  /** Attempts in flight, oldest first, with the time of their start. */
  readonly #inFlight = new Map<Promise<void>, number>();
  /** Resolves when the next attempt ends. */
  #next = Promise.withResolvers<void>();
  readonly #attempts = new Map<string, number>();
  readonly #buckets = new Float64Array(BUCKETS_MS.length + 1);
  #givenUp = 0;
  #disabled = 0;
  #freed = 0;
  #sumMs = 0;
  #backlog = { dueCount: 0, dueAgeSeconds: 0, disabledWebhooks: 0 };
  #nextMeasureMs = 0;
  #nextFreeMs = 0;

  constructor(
    repository: DeliveryRepository,
    http: Pick<OutgoingHttp, 'post'>,
    open: OpenSecret,
    onError: (error: unknown) => void,
  ) {
    this.#repository = repository;
    this.#http = http;
    this.#open = open;
    this.#onError = onError;
    this.#reportClosed = throttle(REPORT_MS, onError);
  }

  readonly run = async (signal: AbortSignal): Promise<void> => {
    const cut = new AbortController();
    const grace = () => setTimeout(() => cut.abort(), STOP_GRACE_MS);
    signal.addEventListener('abort', grace, { once: true });
    this.#nextMeasureMs = 0;
    try {
      while (!signal.aborted) {
        if (performance.now() >= this.#nextMeasureMs) void this.#measureBacklog(signal);
        await this.#freeLost(cut.signal);
        const free = this.#freeSlots();
        const ownerMax = Math.min(SLOTS_PER_OWNER, free, this.#ownerShare());
        const wanted = Math.ceil(free / 2);
        const claims = free > 0 ? await this.#repository.claim(wanted, cut.signal, ownerMax) : [];
        for (const claim of claims) this.#start(claim, cut.signal);
        if (free > 0 && claims.length === wanted) continue;
        const polled = sleep(POLL_MS, signal);
        // While deliveries are due, the next free slot is used immediately.
        await (claims.length > 0 || free === 0 ? Promise.race([this.#next.promise, polled]) : polled);
      }
    } finally {
      await Promise.all(this.#inFlight.keys());
      signal.removeEventListener('abort', grace);
      this.#backlog = { dueCount: 0, dueAgeSeconds: 0, disabledWebhooks: 0 };
    }
  };

  stats(): SendingStats {
    return {
      attempts: this.#attempts,
      givenUp: this.#givenUp,
      disabled: this.#disabled,
      freed: this.#freed,
      inFlight: this.#inFlight.size,
      sumMs: this.#sumMs,
      buckets: this.#buckets,
      ...this.#backlog,
    };
  }

  /** Measures the backlog concurrently with the sending, which never waits for it. Never rejects. */
  async #measureBacklog(signal: AbortSignal): Promise<void> {
    this.#nextMeasureMs = Number.POSITIVE_INFINITY;
    try {
      const backlog = await this.#repository.backlog(signal);
      if (!signal.aborted) this.#backlog = backlog;
    } catch (error) {
      if (!signal.aborted) this.#onError(error);
    }
    if (!signal.aborted) this.#nextMeasureMs = performance.now() + MEASURE_MS;
  }

  async #freeLost(cut: AbortSignal): Promise<void> {
    if (performance.now() < this.#nextFreeMs) return;
    this.#nextFreeMs = performance.now() + FREE_LOST_MS;
    this.#freed += await this.#repository.freeLost(cut);
  }

  /** How many attempts may start now. Those that wait for slow targets leave their slots to others, up to a bound. */
  #freeSlots(): number {
    const sinceMs = performance.now() - NEW_MS;
    let newCount = 0;
    for (const startMs of this.#inFlight.values()) if (startMs > sinceMs) newCount++;
    return Math.min(NEW_MAX - newCount, IN_FLIGHT_MAX - this.#inFlight.size);
  }

  /** An owner may have a quarter of the slots that are free, so there is always one for an owner that has none. */
  #ownerShare(): number {
    return Math.ceil((IN_FLIGHT_MAX - this.#inFlight.size) / 4);
  }

  #start(claim: Claim, cut: AbortSignal): void {
    // Never rejects: if the result cannot be recorded, the delivery is sent again when its lease expires.
    const work = this.#deliver(claim, cut)
      .catch(this.#onError)
      .finally(() => {
        this.#inFlight.delete(work);
        this.#next.resolve();
        this.#next = Promise.withResolvers();
      });
    this.#inFlight.set(work, performance.now());
  }

  async #deliver(claim: Claim, cut: AbortSignal): Promise<void> {
    const secrets = this.#secretsOf(claim);
    // The owner of the webhook is not to blame: no attempt counts, and another host may have the key.
    if (secrets === null)
      return this.#repository.release(claim, Math.round(SECRET_WAIT_MS * (0.5 + Math.random())));
    const result = await this.#send(claim, secrets, cut);
    if (result === null) return this.#repository.release(claim);
    this.#count(result);
    const outcome = decide(result, claim.tries, Date.now(), Math.random());
    for (let tries = 1; ; tries++) {
      try {
        const { disabled } = await this.#repository.settle(claim, result, outcome);
        if (outcome.state === 'failed') this.#givenUp++;
        if (disabled) this.#disabled++;
        return;
      } catch (error) {
        // The target has received it, so waiting for the database is better than sending it again.
        if (tries === SETTLE_TRIES_MAX || cut.aborted) throw error;
        await sleep(SETTLE_WAIT_MS, cut);
      }
    }
  }

  /** Returns the secrets that sign a delivery, or null if this host cannot open one: it never signs with less. */
  #secretsOf({ webhookId, secrets }: Claim): readonly Uint8Array[] | null {
    try {
      return secrets.map((stored) => (typeof stored === 'string' ? this.#open(webhookId, stored) : stored));
    } catch (error) {
      if (!(error instanceof SealingError)) throw error;
      this.#attempts.set(SECRET_UNAVAILABLE, (this.#attempts.get(SECRET_UNAVAILABLE) ?? 0) + 1);
      this.#reportClosed(error);
      return null;
    }
  }

  /** Makes one attempt. Returns null if it was interrupted by the end of this worker, with an unknown result. */
  async #send(claim: Claim, secrets: readonly Uint8Array[], cut: AbortSignal): Promise<AttemptResult | null> {
    const { url, body } = claim;
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
      const response = await this.#http.post({ url, headers, body, timeoutMs: TIMEOUT_MS, signal: cut });
      const isSuccess = response.status >= 200 && response.status <= 299;
      return end(response.status, isSuccess ? null : BAD_STATUS, response.retryAfter);
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
