import { BatchRefused, type EventPublisher } from '../../../adapters/event-log/event-log.ts';
import { inTime } from '../../../adapters/postgres/postgres.ts';
import type { Logger } from '../../../instrumentation/logger.ts';
import type { BackgroundLoop } from '../../../resilience/background-loops.ts';
import { sleep } from '../../../utils/sleep.ts';
import { WakeUp } from '../../../utils/wake-up.ts';
import { BatchPipeline, LeaseLost } from './batch-pipeline.ts';
import { type Backlog, type Poison, poisonAt, type Unsent } from './domain.ts';
import { OutageLog } from './outage-log.ts';
import { ParkedRetries } from './parked-retries.ts';
import type { Marked, RelayRepository } from './repository.ts';

const LEASE_MS = 5000;
const RENEW_MS = 1000;
const STANDBY_MS = 500;
const POLL_MS = 100;
// Pause after a batch that was not full: events that arrive meanwhile share the next one.
const GATHER_MS = 25;
const RETRY_MS = 1000;
// Outbox rows per batch. Each becomes two messages of a Kafka transaction, which has a fixed cost.
const ROWS_MAX = 2000;
// Time to finish the work in progress when the relay stops; otherwise the next relay sends it again.
const GRACE_MS = 2000;
const RELEASE_MS = 1000;
const NO_BACKLOG: Backlog = { rowsMax: 0, ageSeconds: 0 };

/** Dependencies of {@link Relay}. */
export interface RelayOptions {
  readonly repository: RelayRepository;
  /** Null if the table `events` is the only log. */
  readonly publisher: EventPublisher | null;
  /** Identifies this relay to operators. */
  readonly holder: string;
  readonly logger: Logger;
  readonly rowsMax?: number;
  /** Called after each batch, and when the relay starts or stops leading. */
  readonly onMoved?: (isLeading: boolean) => void;
}

/** Counters of this process since it started, and the backlog now. */
export interface RelayStats {
  readonly isLeading: boolean;
  readonly epoch: number;
  readonly sent: number;
  readonly batches: number;
  readonly parked: number;
  readonly failures: number;
  readonly backlog: Backlog;
}

/** The time for which a relay holds the lease. The signal aborts when the term must end immediately. */
interface Term {
  readonly epoch: number;
  readonly signal: AbortSignal;
}

/**
 * Moves events from the outbox to the log, in order per key (the transactional outbox). One relay is active at a time:
 * its lease has an epoch, and both PostgreSQL and Kafka reject writes of an older epoch.
 */
export class Relay {
  readonly loop: BackgroundLoop = { name: 'relay', run: (signal) => this.#run(signal) };
  readonly #options: RelayOptions;
  readonly #rowsMax: number;
  readonly #outages: OutageLog;
  readonly #wakeUp = new WakeUp();
  #isLeading = false;
  #epoch = 0;
  #sent = 0;
  #batches = 0;
  #parked = 0;
  #failures = 0;
  #backlog: Backlog = NO_BACKLOG;
  /** Whether the last batch was empty, and no other has started. */
  #isDrained = false;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#rowsMax = options.rowsMax ?? ROWS_MAX;
    this.#outages = new OutageLog(options.logger);
  }

  /** Notifies the relay of a new row in the outbox, which polling would find a little later. */
  wake(): void {
    this.#wakeUp.wake();
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
      this.#backlog = this.#isDrained ? NO_BACKLOG : await this.#options.repository.backlog();
    });
    try {
      while (!signal.aborted) {
        try {
          const epoch = await this.#options.repository.take(this.#options.holder, LEASE_MS);
          if (epoch === null) await sleep(STANDBY_MS, signal);
          else if (signal.aborted) await this.#release(epoch);
          else await this.#lead(epoch, signal);
        } catch (error) {
          if (signal.aborted) return;
          if (error instanceof LeaseLost) continue;
          this.#failures++;
          this.#outages.failed(error);
          // Another host may take over meanwhile, which can perhaps reach what this one cannot.
          await sleep(RETRY_MS * (0.5 + Math.random() / 2), signal);
        }
      }
    } finally {
      stopMeasuring();
      // Another worker measures the backlog now, and metrics take the maximum.
      this.#backlog = NO_BACKLOG;
    }
  }

  /** Sends events until the signal aborts, the lease is lost, or something fails. */
  async #lead(epoch: number, signal: AbortSignal): Promise<void> {
    const { repository, publisher } = this.#options;
    const ending = new AbortController();
    let graceTimer: Timer | undefined;
    const onAbort = () => {
      graceTimer = setTimeout(() => ending.abort(), GRACE_MS);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    const stopRenewing = every(RENEW_MS, async () => {
      if (!(await repository.renew(epoch, LEASE_MS))) ending.abort(new LeaseLost());
    });
    const term = { epoch, signal: ending.signal };
    const options = {
      repository,
      epoch,
      rowsMax: this.#rowsMax,
      send: (unsent: readonly Unsent[]) => this.#publish(term, unsent),
      onMarked: (marked: Marked, stopped: readonly Poison[]) => this.#count(marked, stopped),
    };
    const pipeline = new BatchPipeline({ ...options, withEvents: publisher !== null });
    try {
      if (publisher !== null) await this.#open(publisher, term);
      await this.#sendBatches(term, pipeline, new ParkedRetries(options), signal);
    } finally {
      this.#isLeading = false;
      this.#isDrained = false;
      this.#options.onMoved?.(false);
      clearTimeout(graceTimer);
      signal.removeEventListener('abort', onAbort);
      stopRenewing();
      // Marks what was sent, if that is still possible; a failure here has already been thrown above.
      await pipeline.settle().catch(() => {});
      await publisher?.close();
      await this.#release(epoch);
    }
  }

  async #sendBatches(
    term: Term,
    pipeline: BatchPipeline,
    retries: ParkedRetries,
    signal: AbortSignal,
  ): Promise<void> {
    this.#isLeading = true;
    this.#epoch = term.epoch;
    this.#options.onMoved?.(true);
    this.#options.logger.info({ epoch: term.epoch }, 'this worker is now the event relay');
    while (!signal.aborted) {
      term.signal.throwIfAborted();
      this.#isDrained = false;
      const hasMoreParked = await retries.step(pipeline, term.signal);
      const rows = await pipeline.step();
      this.#outages.succeeded();
      if (pipeline.hasMore || hasMoreParked) continue;
      await pipeline.settle();
      this.#isDrained = rows === 0;
      await this.#wakeUp.sleep(GATHER_MS, POLL_MS, signal);
    }
  }

  async #release(epoch: number): Promise<void> {
    await inTime(this.#options.repository.giveUp(epoch), RELEASE_MS).catch(() => {
      // The lease expires on its own.
    });
  }

  /** Publishes events, if there is a publisher. Finds the rejected events of a batch by bisection. */
  async #publish(term: Term, unsent: readonly Unsent[]): Promise<readonly Poison[]> {
    const { publisher } = this.#options;
    if (publisher === null || unsent.length === 0) return [];
    const events = unsent.map(({ event }) => event!);
    try {
      const rejections = await publisher.publish(events, term.signal);
      return rejections.map(({ index, reason }) => poisonAt(unsent[index]!, reason));
    } catch (error) {
      if (!(error instanceof BatchRefused)) throw error;
      await this.#open(publisher, term);
      if (unsent.length === 1) return [poisonAt(unsent[0]!, error.message)];
    }
    const middle = unsent.length >> 1;
    const first = await this.#publish(term, unsent.slice(0, middle));
    const rest = unsent.slice(middle).filter(({ key }) => !first.some((poison) => poison.key === key));
    return [...first, ...(await this.#publish(term, rest))];
  }

  /**
   * Opening fences every earlier publisher, and would disturb a relay with a newer epoch. So the lease is renewed
   * afterwards, before anything is sent: that fails if this relay has been superseded.
   */
  async #open(publisher: EventPublisher, { epoch, signal }: Term): Promise<void> {
    await publisher.open(signal);
    if (!(await this.#options.repository.renew(epoch, LEASE_MS))) throw new LeaseLost();
  }

  #count(marked: Marked, stopped: readonly Poison[]): void {
    this.#sent += marked.sent;
    this.#batches++;
    this.#parked += stopped.length;
    this.#options.onMoved?.(this.#isLeading);
    // Not as `key`: the logger would mask that.
    for (const { key: eventKey, reason } of stopped)
      this.#options.logger.error(
        { eventKey, reason },
        'events of a key are parked; see `atlas events parked`',
      );
  }
}

/** Runs the work at intervals without overlap, and ignores its errors. Returns a function that stops it. */
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
