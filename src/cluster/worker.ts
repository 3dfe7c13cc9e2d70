import { type App, createApp } from '../app.ts';
import type { Config } from '../config.ts';
import { type Deps, openDeps } from '../deps.ts';
import type { Logger } from '../instrumentation/logger.ts';
import { CommitterRole } from './committer-role.ts';
import { type Listener, listen } from './listener.ts';
import type { MetricSnapshot } from './merge-metrics.ts';
import { type FromSupervisor, HEARTBEAT_MS, STATS_MS } from './messages.ts';
import { RefusalMonitor } from './refusal-monitor.ts';
import { SupervisorChannel, type WorkerIdentity } from './supervisor-channel.ts';
import { WorkerJobs } from './worker-jobs.ts';
import { WorkerLog } from './worker-log.ts';
import { WorkerStatusReader } from './worker-status.ts';

// Long enough to read a request that was sent before the signal.
export const DRAIN_MS = 300;
const ORPHAN_MS = 2000;
const PREPARE_WAIT_MS = 2000;
const SHARE_WAIT_MS = 2000;
const SHARE_CHECK_MS = 10;
const EXIT_WAIT_MS = 500;
const CLOSE_MS = 2000;
// For the batches of transfers and of reads that may run at once, the relay, and a consumer.
const WARM_CONNECTIONS = 16;
const WARM_UP_MS = 20_000;

/**
 * Runs a worker: serves the app until its supervisor drains it or is gone. A Ctrl+C in the terminal reaches workers
 * too, but as long as there is a supervisor, only the supervisor decides when a worker exits.
 */
export async function runWorker(config: Config, logger: Logger, identity: WorkerIdentity): Promise<void> {
  const channel = new SupervisorChannel();
  const deps = await openDeps(config, logger, {
    worker: { ...identity, scrapeCluster: () => channel.scrape() },
  });
  const app = createApp(deps);
  new Worker(app, deps, channel, identity);
}

type Phase =
  /** Waits for permits; does not listen yet. */
  | { readonly kind: 'starting' }
  | { readonly kind: 'listening'; readonly listener: Listener }
  /** Drains, but still accepts requests that were sent before. */
  | { readonly kind: 'draining' }
  /** No longer accepts requests. */
  | { readonly kind: 'closing' };

class Worker {
  readonly #app: App;
  readonly #deps: Deps;
  readonly #channel: SupervisorChannel;
  readonly #status: WorkerStatusReader;
  readonly #log: WorkerLog;
  readonly #jobs: WorkerJobs;
  readonly #committer: CommitterRole;
  readonly #exit = Promise.withResolvers<void>();
  #phase: Phase = { kind: 'starting' };
  #sharesApplied = 0;
  #stats: Promise<MetricSnapshot[]> = Promise.resolve([]);

  constructor(app: App, deps: Deps, channel: SupervisorChannel, identity: WorkerIdentity) {
    const refusals = new RefusalMonitor();
    this.#app = app;
    this.#deps = deps;
    this.#channel = channel;
    this.#status = new WorkerStatusReader(app, deps, identity, refusals);
    this.#log = new WorkerLog(deps.logger, refusals);
    this.#jobs = new WorkerJobs(app, deps.config, deps.reportFailure);
    const { config, logger } = deps;
    const { committer } = app.features.ledger;
    this.#committer = new CommitterRole({ committer, config, identity, channel, logger });
    // It has no permits until the supervisor sends its share.
    deps.permits.setShare(0);
    setInterval(() => this.#heartbeat(), HEARTBEAT_MS);
    const warmUp = () => void deps.database.warmUp(Math.min(WARM_CONNECTIONS, deps.connectionsMax));
    warmUp();
    setInterval(warmUp, WARM_UP_MS);
    setInterval(() => this.#channel.isBehind || void this.#sendStats(null), STATS_MS);
    channel.onMessage = (message) => this.#handle(message);
    channel.onLost = () => this.#drainOrphan();
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'])
      process.on(signal, () => channel.isOpen || this.#drainOrphan());
    process.on('unhandledRejection', (err) => deps.logger.warn({ err }, 'unhandled rejection'));
    this.#heartbeat();
    void channel.send({ kind: 'booted' });
    void this.#listenWithShare();
  }

  get #isEnding(): boolean {
    return this.#phase.kind === 'draining' || this.#phase.kind === 'closing';
  }

  /**
   * Listens once the features are prepared, and once there are permits, so that a new worker does not refuse requests
   * for lack of them. It does not wait long for either. The wait for permits starts after the preparation,
   * which blocks the event loop: messages of the supervisor are read only after it.
   */
  async #listenWithShare(): Promise<void> {
    await Promise.race([this.#app.prepare().catch(() => {}), Bun.sleep(PREPARE_WAIT_MS)]);
    const untilMs = performance.now() + SHARE_WAIT_MS;
    while (this.#deps.permits.limitAt(performance.now()) <= 0 && performance.now() < untilMs)
      await Bun.sleep(SHARE_CHECK_MS);
    if (this.#isEnding) return;
    try {
      this.#phase = { kind: 'listening', listener: listen(this.#app, this.#deps) };
    } catch (err) {
      this.#deps.logger.error({ err }, 'the worker cannot listen');
      // The supervisor starts the next one, with a backoff.
      process.exit(1);
    }
    // So that the supervisor has a current status of every worker that is ready.
    this.#sendHeartbeat();
    void this.#channel.send({ kind: 'ready' });
  }

  #handle(message: FromSupervisor): void {
    if (message.kind === 'share') {
      this.#deps.permits.setShare(message.permits ?? Number.POSITIVE_INFINITY);
      this.#sharesApplied++;
      // Immediately, because another worker may wait for the permits that this one has released.
      this.#heartbeat();
    } else if (message.kind === 'jobs') {
      this.#jobs.assignHostJobs(message.run && !this.#isEnding);
      this.#committer.assign(message.run && !this.#isEnding);
    } else if (message.kind === 'committer') this.#committer.join(message.committer);
    else if (message.kind === 'collect') void this.#sendStats(message.id);
    else if (message.kind === 'report-exit') void this.#reportExit(message.workerId);
    else if (message.kind === 'exit') this.#exit.resolve();
    else if (message.kind === 'drain' && !this.#isEnding) void this.#drain(DRAIN_MS, this.#graceMs);
  }

  /** Longer than any request in flight can take. */
  get #graceMs(): number {
    const { HTTP_TIMEOUT, DATABASE_TIMEOUT } = this.#deps.config;
    return (HTTP_TIMEOUT + DATABASE_TIMEOUT) * 1000;
  }

  /** Sends a heartbeat, unless the supervisor still has some to read: those it misses would be out of date. */
  #heartbeat(): void {
    this.#log.update(this.#deps.permits.stats().mode, this.#app.admission.stats().decisions);
    if (!this.#channel.isBehind) this.#sendHeartbeat();
  }

  #sendHeartbeat(): void {
    void this.#channel.send({
      kind: 'heartbeat',
      status: this.#status.read(),
      sharesApplied: this.#sharesApplied,
      accepting: this.#phase.kind !== 'closing',
    });
  }

  /** Reads and sends the metrics, one reading after the other, so that metrics sent later were also read later. */
  async #sendStats(id: number | null): Promise<void> {
    const read = () => this.#app.registry.getMetricsAsJSON() as Promise<unknown> as Promise<MetricSnapshot[]>;
    this.#stats = this.#stats.then(read, read);
    await this.#channel.send({ kind: 'stats', id, stats: await this.#stats });
  }

  async #reportExit(workerId: string): Promise<void> {
    const { incarnation, permits, logger } = this.#deps;
    // What it held in PostgreSQL and in Redis. One may be unavailable, and the other does not wait for it.
    const reports = await Promise.allSettled([incarnation.reap(workerId), permits.reportExit(workerId)]);
    const failed = reports.find((report) => report.status === 'rejected');
    if (failed === undefined) void this.#channel.send({ kind: 'exit-reported', workerId });
    // The supervisor sends it again.
    else logger.debug({ err: failed.reason, workerId }, 'could not report a worker exit');
  }

  /** The supervisor is gone: drains within 2 s, or cuts a drain that is under way to 2 s. */
  #drainOrphan(): void {
    if (this.#isEnding) setTimeout(() => process.exit(1), ORPHAN_MS);
    else void this.#drain(0, ORPHAN_MS);
  }

  /** Finishes the requests in flight, persists what is only in memory, and exits. */
  async #drain(waitMs: number, graceMs: number): Promise<void> {
    const { lifecycle, permits, logger } = this.#deps;
    const untilMs = performance.now() + waitMs + graceMs;
    const timeLeft = (maxMs = Number.POSITIVE_INFINITY) =>
      Bun.sleep(Math.max(0, Math.min(maxMs, untilMs - performance.now())));
    const listener = this.#phase.kind === 'listening' ? this.#phase.listener : null;
    this.#phase = { kind: 'draining' };
    lifecycle.draining = true;
    this.#heartbeat();
    if (waitMs > 0) await timeLeft(waitMs);
    const finished = listener?.stop();
    this.#phase = { kind: 'closing' };
    this.#heartbeat();
    // Requests and loops that finish now may still write to the database, so its pool stays open until then.
    const ended = [finished, this.#jobs.stopLoops(), this.#committer.stop()];
    await Promise.race([Promise.allSettled(ended), timeLeft()]);
    await Promise.race([Promise.allSettled([this.#jobs.flush(), permits.close()]), timeLeft(CLOSE_MS)]);
    const closed = this.#deps
      .close()
      .catch((err: unknown) => logger.warn({ err }, 'could not close everything'));
    await Promise.race([closed, timeLeft()]);
    await this.#sendStats(null);
    void this.#channel.send({ kind: 'drained' });
    // The supervisor must have read the counts of this incarnation before it notices the exit.
    if (this.#channel.isOpen) await Promise.race([this.#exit.promise, Bun.sleep(EXIT_WAIT_MS)]);
    process.exit(0);
  }
}
