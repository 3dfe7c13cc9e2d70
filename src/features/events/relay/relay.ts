import { BatchRefused, type EventPublisher } from '../../../adapters/event-log/event-log.ts';
import { inTime } from '../../../adapters/postgres/postgres.ts';
import type { Logger } from '../../../instrumentation/logger.ts';
import type { BackgroundLoop } from '../../../resilience/background-loops.ts';
import { sleep } from '../../../utils/sleep.ts';
import { BatchPipeline, LeaseLost } from './batch-pipeline.ts';
import { type Backlog, firstOfEachKey, type Poison, planBatch, poisonAt, type Unsent } from './domain.ts';
import type { Marked, RelayRepository } from './repository.ts';

const LEASE_MS = 5000;
const RENEW_MS = 1000;
const STANDBY_MS = 500;
const POLL_MS = 100;
// Between two batches that were not full: what comes meanwhile shares the next one.
const GATHER_MS = 10;
const FAILED_MS = 1000;
const TELL_AGAIN_MS = 60_000;
// Rows of the outbox in one batch: each becomes two messages of a Kafka transaction, which has a price of its own.
const ROWS_MAX = 2000;
const RETRY_LOOK_MS = 1000;
const RETRY_KEYS_MAX = 16;
// What is under way when the relay is told to end has so long to finish; else it is sent again by the next one.
const GRACE_MS = 2000;
const GIVE_UP_MS = 1000;

/** What the relay is made of. */
export interface RelayOptions {
  readonly repository: RelayRepository;
  /** Null where the table `events` is all the log there is. */
  readonly publisher: EventPublisher | null;
  /** Who this is, for people. */
  readonly holder: string;
  readonly logger: Logger;
  readonly rowsMax?: number;
}

/** Counts since the start of this process, and what is waiting now. */
export interface RelayStats {
  readonly isLeading: boolean;
  readonly epoch: number;
  readonly sent: number;
  readonly batches: number;
  readonly parked: number;
  readonly failures: number;
  readonly backlog: Backlog;
}

/**
 * Moves events from the outbox to the log, the events of a key in order (the transactional outbox). One relay works at
 * a time: it has a lease with an epoch, and neither PostgreSQL nor Kafka takes anything from one whose epoch is old.
 */
export class Relay {
  readonly loop: BackgroundLoop = { name: 'relay', run: (signal) => this.#run(signal) };
  readonly #options: RelayOptions;
  readonly #rowsMax: number;
  #wakeUp: () => void = () => {};
  #isWoken = false;
  #isLeading = false;
  #epoch = 0;
  #sent = 0;
  #batches = 0;
  #parked = 0;
  #failures = 0;
  #backlog: Backlog = { rowsMax: 0, ageSeconds: 0 };
  #failingSinceMs: number | null = null;
  #toldMs = 0;
  #retryLookMs = 0;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#rowsMax = options.rowsMax ?? ROWS_MAX;
  }

  /** Says that there is something in the outbox, which would be found a little later anyway. */
  wake(): void {
    this.#isWoken = true;
    this.#wakeUp();
  }

  stats(): RelayStats {
    return {
      isLeading: this.#isLeading,
      epoch: this.#epoch,
      sent: this.#sent,
      batches: this.#batches,
      parked: this.#parked,
      failures: this.#failures,
      backlog: this.#backlog,
    };
  }

  async #run(signal: AbortSignal): Promise<void> {
    const stopMeasuring = every(RENEW_MS, async () => {
      this.#backlog = await this.#options.repository.backlog();
    });
    try {
      while (!signal.aborted) {
        try {
          const epoch = await this.#options.repository.take(this.#options.holder, LEASE_MS);
          if (epoch === null) await sleep(STANDBY_MS, signal);
          else if (signal.aborted) await this.#giveUp(epoch);
          else await this.#lead(epoch, signal);
        } catch (error) {
          if (signal.aborted) return;
          if (error instanceof LeaseLost) continue;
          this.#tellFailure(error);
          // Somebody else may take over meanwhile, who can perhaps reach what this one cannot.
          await sleep(FAILED_MS * (0.5 + Math.random() / 2), signal);
        }
      }
    } finally {
      stopMeasuring();
      // Another worker looks at the outbox now, and the larger figure would count.
      this.#backlog = { rowsMax: 0, ageSeconds: 0 };
    }
  }

  /** Sends until it is told to end, somebody else is the relay, or something fails. */
  async #lead(epoch: number, signal: AbortSignal): Promise<void> {
    const { repository, publisher, logger } = this.#options;
    const term = new AbortController();
    let graceTimer: Timer | undefined;
    const onAbort = () => {
      graceTimer = setTimeout(() => term.abort(), GRACE_MS);
      this.#wakeUp();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    const stopRenewing = every(RENEW_MS, async () => {
      if (!(await repository.renew(epoch, LEASE_MS))) term.abort(new LeaseLost());
    });
    const pipeline = new BatchPipeline({
      repository,
      epoch,
      rowsMax: this.#rowsMax,
      withEvents: publisher !== null,
      send: (unsent) => this.#publish(epoch, unsent, term.signal),
      onMarked: (marked, stopped) => this.#count(marked, stopped),
    });
    try {
      if (publisher !== null) await this.#open(publisher, epoch, term.signal);
      this.#isLeading = true;
      this.#epoch = epoch;
      logger.info({ epoch }, 'this worker relays events now');
      while (!signal.aborted) {
        term.signal.throwIfAborted();
        const isMoreParked = await this.#retryParked(epoch, pipeline, term.signal);
        const rows = await pipeline.step();
        this.#tellRecovery();
        if (rows === this.#rowsMax || isMoreParked) continue;
        await pipeline.settle();
        await this.#idle(signal);
      }
    } finally {
      this.#isLeading = false;
      clearTimeout(graceTimer);
      signal.removeEventListener('abort', onAbort);
      stopRenewing();
      // What was sent is marked where that still can be; what fails here has failed above already.
      await pipeline.settle().catch(() => {});
      await publisher?.close();
      await this.#giveUp(epoch);
    }
  }

  async #giveUp(epoch: number): Promise<void> {
    await inTime(this.#options.repository.giveUp(epoch), GIVE_UP_MS).catch(() => {
      // The lease ends by itself.
    });
  }

  /** Sends where there is somewhere to send to. What is refused is found by halving what is refused together. */
  async #publish(epoch: number, unsent: readonly Unsent[], signal: AbortSignal): Promise<readonly Poison[]> {
    const { publisher } = this.#options;
    if (publisher === null || unsent.length === 0) return [];
    const events = unsent.map(({ event }) => event!);
    try {
      const rejections = await publisher.publish(events, signal);
      return rejections.map(({ index, reason }) => poisonAt(unsent[index]!, reason));
    } catch (error) {
      if (!(error instanceof BatchRefused)) throw error;
      await this.#open(publisher, epoch, signal);
      if (unsent.length === 1) return [poisonAt(unsent[0]!, error.message)];
    }
    const middle = unsent.length >> 1;
    const first = await this.#publish(epoch, unsent.slice(0, middle), signal);
    const rest = unsent.slice(middle).filter(({ key }) => !first.some((poison) => poison.key === key));
    return [...first, ...(await this.#publish(epoch, rest, signal))];
  }

  /**
   * Opening fences whoever was here before. Whoever came after has a newer epoch and was now disturbed, so it is asked
   * afterwards, and before anything is sent, whether this is still the relay.
   */
  async #open(publisher: EventPublisher, epoch: number, signal: AbortSignal): Promise<void> {
    await publisher.open(signal);
    if (!(await this.#options.repository.renew(epoch, LEASE_MS))) throw new LeaseLost();
  }

  /**
   * Tries the keys that somebody wants to be tried again, oldest event first: one batch of each, so that other keys
   * need not wait for one with much behind it. Answers whether there is more of them.
   */
  async #retryParked(epoch: number, pipeline: BatchPipeline, signal: AbortSignal): Promise<boolean> {
    const { repository } = this.#options;
    if (performance.now() < this.#retryLookMs) return false;
    this.#retryLookMs = performance.now() + RETRY_LOOK_MS;
    const keys = await repository.keysToRetry(RETRY_KEYS_MAX);
    // What is being parked now must be seen below.
    if (keys.length > 0) await pipeline.settle();
    let isMore = keys.length === RETRY_KEYS_MAX;
    for (const key of keys) {
      signal.throwIfAborted();
      // What comes for the key meanwhile joins the parked ones, behind these; with the last of them the key is free.
      const waiting = await repository.readParked(key, this.#rowsMax);
      const { sendable, poison } = planBatch(waiting);
      const rejected = await this.#publish(epoch, sendable, signal);
      const [stopped = null] = firstOfEachKey([...poison, ...rejected]);
      const end = stopped?.sequence ?? Number.POSITIVE_INFINITY;
      const sent = sendable.findLast(({ sequence }) => sequence < end);
      const marked = await repository.markParked(epoch, key, sent?.sequence ?? null, stopped);
      if (marked === null) throw new LeaseLost();
      this.#count(marked, stopped ? [stopped] : []);
      if (stopped === null && waiting.length === this.#rowsMax) isMore = true;
    }
    if (isMore) this.#retryLookMs = 0;
    return isMore;
  }

  #count(marked: Marked, stopped: readonly Poison[]): void {
    this.#sent += marked.sent;
    this.#batches++;
    this.#parked += stopped.length;
    for (const { key, reason } of stopped)
      this.#options.logger.error({ key, reason }, 'events of a key are parked: see `atlas events parked`');
  }

  /** Waits until there is probably something: a little always, then until it is woken or a while has passed. */
  async #idle(signal: AbortSignal): Promise<void> {
    await sleep(GATHER_MS, signal);
    if (!this.#isWoken && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, POLL_MS - GATHER_MS);
        this.#wakeUp = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#wakeUp = () => {};
    this.#isWoken = false;
  }

  #tellFailure(err: unknown): void {
    this.#failures++;
    const nowMs = performance.now();
    if (this.#failingSinceMs !== null && nowMs - this.#toldMs < TELL_AGAIN_MS) return;
    this.#failingSinceMs ??= nowMs;
    this.#toldMs = nowMs;
    this.#options.logger.warn({ err }, 'events are not sent; they are kept in the outbox and tried again');
  }

  #tellRecovery(): void {
    if (this.#failingSinceMs === null) return;
    const seconds = Math.round((performance.now() - this.#failingSinceMs) / 1000);
    this.#failingSinceMs = null;
    this.#options.logger.info({ seconds }, 'events are sent again');
  }
}

/** Does the work at intervals, never twice at a time; what it throws is left to the next time. Answers how to stop. */
function every(ms: number, work: () => Promise<void>): () => void {
  let isBusy = false;
  const timer = setInterval(() => {
    if (isBusy) return;
    isBusy = true;
    void work()
      .catch(() => {})
      .finally(() => {
        isBusy = false;
      });
  }, ms);
  return () => clearInterval(timer);
}
