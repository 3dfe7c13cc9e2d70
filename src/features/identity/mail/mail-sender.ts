import { MailError, type Mailer } from '../../../adapters/mail/mailer.ts';
import { AtlasError } from '../../../errors.ts';
import type { BackgroundLoop } from '../../../resilience/background-loops.ts';
import { BulkheadFull } from '../../../resilience/bulkhead.ts';
import { BreakerOpen } from '../../../resilience/circuit-breaker.ts';
import { SealingError } from '../../../utils/sealing.ts';
import { sleep } from '../../../utils/sleep.ts';
import { throttle } from '../../../utils/throttle.ts';
import { decide, type GivenUpMail, type MailClaim, type MailContent, type MailResult } from './domain.ts';
import type { MailStats } from './mail-metrics.ts';
import type { MailRepository } from './repository.ts';

/** What a sender reports. Nothing of it has a content or a whole address. */
export interface MailReports {
  /** Something failed that will be tried again. */
  failed(error: unknown): void;
  /** A mail will not be sent any more. */
  gaveUp(mail: GivenUpMail): void;
  /** The process of these mails died while it sent them, so they may be sent twice. */
  freed(ids: readonly string[]): void;
}

export interface MailSenderPorts {
  readonly repository: Omit<MailRepository, 'count' | 'insert'>;
  readonly mailer: Pick<Mailer, 'send' | 'dependency'>;
  /** Returns the content of a mail. Throws `SealingError`. */
  open(id: string, record: string): MailContent;
  readonly reports: MailReports;
}

const IN_FLIGHT_MAX = 8;
const POLL_MS = 500;
// How often to look for mails whose process has died, and for those that have expired.
const FREE_LOST_MS = 1000;
const EXPIRE_MS = 5000;
// On a stop, the mail server has this long to accept mails in flight. Unfinished ones are sent again.
const STOP_GRACE_MS = 2000;
// Together well within a lease, after which another host sends the mail again.
const SETTLE_TRIES_MAX = 30;
const SETTLE_WAIT_MS = 1000;
const MEASURE_MS = 15_000;
const REPORT_MS = 60_000;
// Another host may have the key, or an operator sets it.
const SECRET_WAIT_MS = 60_000;
// The mail server is known to be unavailable, and was not contacted.
const REFUSED_WAIT_MS = 5000;
const NO_BACKLOG = { pending: 0, due: 0, dueAgeSeconds: 0 };
/** Not an attempt: nothing was sent. */
const SECRET_UNAVAILABLE = 'secret_unavailable';

/** Sends due mails. Hosts share the work through PostgreSQL. */
export class MailSender implements BackgroundLoop {
  readonly name = 'mails';
  readonly #ports: MailSenderPorts;
  readonly #reportClosed: (error: unknown) => void;
  readonly #inFlight = new Set<Promise<void>>();
  readonly #attempts = new Map<string, number>();
  readonly #givenUp = new Map<string, number>();
  #freed = 0;
  #backlog = NO_BACKLOG;
  #nextMs = { measure: 0, free: 0, expire: 0 };

  constructor(ports: MailSenderPorts) {
    this.#ports = ports;
    this.#reportClosed = throttle(REPORT_MS, (error) => ports.reports.failed(error));
  }

  readonly run = async (signal: AbortSignal): Promise<void> => {
    const cut = new AbortController();
    const grace = () => setTimeout(() => cut.abort(), STOP_GRACE_MS);
    signal.addEventListener('abort', grace, { once: true });
    this.#nextMs.measure = 0;
    try {
      while (!signal.aborted) {
        if (performance.now() >= this.#nextMs.measure) void this.#measureBacklog(signal);
        await this.#cleanUp(cut.signal);
        const free = this.#slots();
        const claims = free > 0 ? await this.#ports.repository.claim(free, cut.signal) : [];
        for (const claim of claims) this.#start(claim, cut.signal);
        const polled = sleep(POLL_MS, signal);
        // While mails are due, the next free slot is used immediately.
        await (claims.length > 0 ? Promise.race([...this.#inFlight, polled]) : polled);
      }
    } finally {
      await Promise.all(this.#inFlight);
      signal.removeEventListener('abort', grace);
      this.#backlog = NO_BACKLOG;
    }
  };

  stats(): MailStats {
    return { attempts: this.#attempts, givenUp: this.#givenUp, freed: this.#freed, ...this.#backlog };
  }

  /** How many mails to claim: none for a mail server that is unavailable, and one at a time to try it again. */
  #slots(): number {
    const state = this.#ports.mailer.dependency?.state ?? 'closed';
    const slots = { closed: IN_FLIGHT_MAX, 'half-open': 1, open: 0 }[state];
    return Math.max(0, slots - this.#inFlight.size);
  }

  /** Measures the backlog concurrently with the sending, which never waits for it. Never rejects. */
  async #measureBacklog(signal: AbortSignal): Promise<void> {
    this.#nextMs.measure = Number.POSITIVE_INFINITY;
    try {
      const backlog = await this.#ports.repository.backlog(signal);
      if (!signal.aborted) this.#backlog = backlog;
    } catch (error) {
      if (!signal.aborted) this.#ports.reports.failed(error);
    }
    if (!signal.aborted) this.#nextMs.measure = performance.now() + MEASURE_MS;
  }

  async #cleanUp(cut: AbortSignal): Promise<void> {
    const { repository, reports } = this.#ports;
    const nowMs = performance.now();
    if (nowMs >= this.#nextMs.free) {
      this.#nextMs.free = nowMs + FREE_LOST_MS;
      const freed = await repository.freeLost(cut);
      this.#freed += freed.length;
      if (freed.length > 0) reports.freed(freed);
    }
    if (nowMs >= this.#nextMs.expire) {
      this.#nextMs.expire = nowMs + EXPIRE_MS;
      for (const mail of await repository.expire(cut)) this.#giveUp(mail, 'expired');
    }
  }

  #start(claim: MailClaim, cut: AbortSignal): void {
    // Never rejects: if the result cannot be recorded, the mail is sent again when its lease expires.
    const work = this.#deliver(claim, cut)
      .catch((error) => this.#ports.reports.failed(error))
      .finally(() => this.#inFlight.delete(work));
    this.#inFlight.add(work);
  }

  async #deliver(claim: MailClaim, cut: AbortSignal): Promise<void> {
    const { repository } = this.#ports;
    const content = this.#contentOf(claim);
    // The mail is not to blame, so no attempt counts.
    if (content === null) return repository.release(claim, SECRET_WAIT_MS * (0.5 + Math.random()));
    const result = await this.#send(claim, content, cut);
    if (typeof result === 'number') return repository.release(claim, result);
    count(this.#attempts, result.outcome);
    const outcome = decide(result, claim, Math.random());
    for (let tries = 1; ; tries++) {
      try {
        const isRecorded = await repository.settle(claim, outcome);
        if (isRecorded && outcome.state === 'failed')
          this.#giveUp({ ...claim, failure: outcome.failure! }, result.outcome);
        return;
      } catch (error) {
        // The server has accepted it, so waiting for the database is better than sending it again.
        if (tries === SETTLE_TRIES_MAX || cut.aborted) throw error;
        await sleep(SETTLE_WAIT_MS, cut);
      }
    }
  }

  #contentOf({ id, content }: MailClaim): MailContent | null {
    try {
      return this.#ports.open(id, content);
    } catch (error) {
      if (!(error instanceof SealingError)) throw error;
      count(this.#attempts, SECRET_UNAVAILABLE);
      this.#reportClosed(error);
      return null;
    }
  }

  /** Makes one attempt. Returns the wait until the next one instead if this one does not count. */
  async #send(claim: MailClaim, content: MailContent, cut: AbortSignal): Promise<MailResult | number> {
    const { id, recipient, createdAt } = claim;
    try {
      await this.#ports.mailer.send({ id, recipient, createdAt, ...content }, cut);
      return { outcome: 'sent' };
    } catch (error) {
      // The worker ends, and nobody knows whether the mail was accepted.
      if (cut.aborted) return 0;
      if (error instanceof MailError) return { outcome: error.refusal, status: error.status };
      this.#ports.reports.failed(error);
      if (!(error instanceof AtlasError)) return { outcome: 'internal', status: null };
      const wasRefused = error.cause instanceof BreakerOpen || error.cause instanceof BulkheadFull;
      return wasRefused ? REFUSED_WAIT_MS : { outcome: 'unavailable', status: null };
    }
  }

  #giveUp(mail: GivenUpMail, reason: string): void {
    count(this.#givenUp, reason);
    this.#ports.reports.gaveUp(mail);
  }
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
