import { monitorEventLoopDelay } from 'node:perf_hooks';
import { type App, createApp } from '../app.ts';
import type { Config } from '../config.ts';
import { type Deps, openDeps } from '../deps.ts';
import type { Logger } from '../instrumentation/logger.ts';
import { BackgroundLoops } from '../resilience/background-loops.ts';
import { type Listener, listen } from './listener.ts';
import type { MetricSnapshot } from './merge-metrics.ts';
import { type FromSupervisor, HEARTBEAT_MS, STATS_MS, type WorkerStatus } from './messages.ts';
import { RefusalMonitor } from './refusal-monitor.ts';
import { SupervisorChannel, type WorkerIdentity } from './supervisor-channel.ts';

// Long enough for a request that was sent before the signal to be read.
export const DRAIN_MS = 300;
const ORPHAN_MS = 2000;
const SHARE_WAIT_MS = 2000;
const SHARE_LOOK_MS = 10;
const LEAVE_WAIT_MS = 500;
const CLOSE_MS = 2000;
const LOOP_RESOLUTION_MS = 20;
const NANOSECONDS = 1e6;

/**
 * One worker: serves the app until its supervisor has it drained, or is gone. A Ctrl+C in the terminal reaches the
 * workers too, but while there is a supervisor only that decides when a worker ends.
 */
export async function runWorker(config: Config, logger: Logger, identity: WorkerIdentity): Promise<void> {
  const channel = new SupervisorChannel();
  const deps = await openDeps(config, logger, {
    place: { ...identity, scrapeCluster: () => channel.scrape() },
  });
  const app = createApp(deps);
  new Worker(app, deps, channel, identity);
}

class Worker {
  readonly #app: App;
  readonly #deps: Deps;
  readonly #channel: SupervisorChannel;
  readonly #identity: WorkerIdentity;
  readonly #loopDelay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  readonly #timers: Timer[];
  readonly #leave = Promise.withResolvers<void>();
  readonly #refusals = new RefusalMonitor();
  #listener: Listener | null = null;
  #sharesApplied = 0;
  #accepting = true;
  #runsJobsOfHost = false;
  readonly #loops: BackgroundLoops;
  #mode = '';
  #ending: Promise<void> | null = null;
  #stats: Promise<MetricSnapshot[]> = Promise.resolve([]);

  constructor(app: App, deps: Deps, channel: SupervisorChannel, identity: WorkerIdentity) {
    this.#app = app;
    this.#deps = deps;
    this.#channel = channel;
    this.#identity = identity;
    this.#loops = new BackgroundLoops(app.loops, deps.config, (loop, err) =>
      deps.logger.warn({ err, loop }, 'a background loop failed and is started anew'),
    );
    this.#loopDelay.enable();
    // It holds nothing until it is told what.
    deps.permits.setShare(0);
    this.#timers = [
      setInterval(() => this.#beat(), HEARTBEAT_MS),
      setInterval(() => this.#channel.isBehind || void this.#tellStats(null), STATS_MS),
      ...this.#startJobs(),
    ];
    channel.onMessage = (message) => this.#obey(message);
    channel.onLost = () => void this.#end(0, ORPHAN_MS);
    const obeySignal = () => channel.isOpen || void this.#end(0, ORPHAN_MS);
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, obeySignal);
    // The driver tells nobody when a cancel finds no server; it must not reach the terminal past the logger.
    process.on('unhandledRejection', (err) => deps.logger.warn({ err }, 'a failure that nobody waited for'));
    this.#beat();
    void channel.send({ kind: 'booted' });
    void this.#listenWithShare();
  }

  /** Listens as soon as there are permits to serve with, so that a new worker refuses nobody for want of them. */
  async #listenWithShare(): Promise<void> {
    const untilMs = performance.now() + SHARE_WAIT_MS;
    while (this.#deps.permits.limitAt(performance.now()) <= 0 && performance.now() < untilMs)
      await Bun.sleep(SHARE_LOOK_MS);
    if (this.#ending) return;
    try {
      this.#listener = listen(this.#app, this.#deps);
    } catch (err) {
      this.#deps.logger.error({ err }, 'the worker cannot listen');
      // Its supervisor starts the next one, after a while.
      process.exit(1);
    }
    // What is told of a worker that is ready is how it is now.
    this.#sendHeartbeat();
    void this.#channel.send({ kind: 'ready' });
  }

  #obey(message: FromSupervisor): void {
    if (message.kind === 'share') {
      this.#deps.permits.setShare(message.permits ?? Number.POSITIVE_INFINITY);
      this.#sharesApplied++;
      // At once, because another worker may wait for what this one has given up.
      this.#beat();
    } else if (message.kind === 'jobs') this.#serveHost(message.run);
    else if (message.kind === 'collect') void this.#tellStats(message.id);
    else if (message.kind === 'exited') void this.#reportExit(message.workerId);
    else if (message.kind === 'leave') this.#leave.resolve();
    else if (message.kind === 'drain') void this.#end(DRAIN_MS, this.#graceMs);
  }

  /** Begins or ends what only one worker of the host does. */
  #serveHost(isChosen: boolean): void {
    this.#runsJobsOfHost = isChosen && this.#ending === null;
    if (this.#runsJobsOfHost) this.#loops.start();
    else void this.#loops.stop();
  }

  /** Longer than any request can take that is in flight. */
  get #graceMs(): number {
    const { HTTP_TIMEOUT, DATABASE_TIMEOUT } = this.#deps.config;
    return (HTTP_TIMEOUT + DATABASE_TIMEOUT) * 1000;
  }

  /** Tells how it stands. A supervisor that does not read hears it when it does: what it missed is out of date then. */
  #beat(): void {
    this.#tellMode(this.#deps.permits.stats().mode);
    this.#tellRefusals();
    if (!this.#channel.isBehind) this.#sendHeartbeat();
  }

  #sendHeartbeat(): void {
    const status = this.#readStatus();
    void this.#channel.send({
      kind: 'heartbeat',
      status,
      sharesApplied: this.#sharesApplied,
      accepting: this.#accepting,
    });
  }

  /** Writes down when this worker is cut off from Redis, and when it is back. */
  #tellMode(mode: string): void {
    const { logger } = this.#deps;
    if (mode === 'floor' && this.#mode !== 'floor')
      logger.warn('Redis does not answer: this worker keeps to its part of the cap by itself');
    if (mode === 'fresh' && this.#mode === 'floor') logger.info('Redis answers again: the cap is shared');
    if (mode === 'floor' || mode === 'fresh') this.#mode = mode;
  }

  /** Writes down that requests are refused and why, in one line for all of ten seconds. */
  #tellRefusals(): void {
    const refused = this.#refusals.look(this.#app.admission.stats().decisions, performance.now());
    if (refused)
      this.#deps.logger.warn({ refused }, 'requests are refused, so that the others are served in time');
  }

  #readStatus(): WorkerStatus {
    const { permits, lifecycle } = this.#deps;
    const { mode, cap } = permits.stats();
    const admission = this.#app.admission.stats();
    const loopDelayMs = this.#loopDelay.max / NANOSECONDS;
    this.#loopDelay.reset();
    return {
      pid: process.pid,
      slot: this.#identity.slot,
      incarnation: this.#identity.incarnation,
      inFlight: admission.inFlight,
      limit: permits.limitAt(performance.now()),
      mode,
      cap,
      adaptiveLimit: adaptiveLimitOf(admission),
      cutoff: admission.cutoffLevel,
      refusedPerSecond: this.#refusals.perSecond,
      loopDelayMs: Math.round(loopDelayMs * 10) / 10,
      rssBytes: process.memoryUsage.rss(),
      breakers: breakersOf(this.#deps.dependencies),
      draining: lifecycle.draining,
    };
  }

  /** Reads and sends the metrics, one reading after the other, so that what is sent later was read later. */
  async #tellStats(id: number | null): Promise<void> {
    const read = () => this.#app.registry.getMetricsAsJSON() as Promise<unknown> as Promise<MetricSnapshot[]>;
    this.#stats = this.#stats.then(read, read);
    await this.#channel.send({ kind: 'stats', id, stats: await this.#stats });
  }

  async #reportExit(workerId: string): Promise<void> {
    try {
      await this.#deps.permits.reportExit(workerId);
      void this.#channel.send({ kind: 'exit-reported', workerId });
    } catch (err) {
      // The supervisor asks again.
      this.#deps.logger.debug({ err, workerId }, 'the exit of a worker could not be reported');
    }
  }

  #startJobs(): Timer[] {
    const { logger } = this.#deps;
    const failed = (job: string) => (err: unknown) => logger.warn({ err, job }, 'a background job failed');
    return this.#app.jobs.map(({ name, by, everyMs, run }) =>
      setInterval(() => {
        if (by === 'each' || this.#runsJobsOfHost) void run().catch(failed(name));
      }, everyMs),
    );
  }

  /** Runs the jobs of this worker once more, so that what it holds in memory is saved. */
  #flushJobs(): Promise<unknown>[] {
    return this.#app.jobs.flatMap(({ by, run }) => (by === 'each' ? run() : []));
  }

  /** Ends once, by whatever came first; a supervisor that is lost on the way shortens what is left. */
  #end(waitMs: number, graceMs: number): Promise<void> {
    if (this.#ending && graceMs === ORPHAN_MS) setTimeout(() => process.exit(1), ORPHAN_MS);
    this.#ending ??= this.#drain(waitMs, graceMs);
    return this.#ending;
  }

  /** Finishes what is in flight, writes down what is only in memory, and ends the process. */
  async #drain(waitMs: number, graceMs: number): Promise<void> {
    const { lifecycle, permits, logger } = this.#deps;
    const untilMs = performance.now() + waitMs + graceMs;
    const left = (mostMs = Number.POSITIVE_INFINITY) =>
      Bun.sleep(Math.max(0, Math.min(mostMs, untilMs - performance.now())));
    lifecycle.draining = true;
    this.#beat();
    if (waitMs > 0) await left(waitMs);
    const answered = this.#listener?.stop();
    this.#accepting = false;
    this.#beat();
    // Also what ends now may still change the database, so the pool is open until then.
    await Promise.race([Promise.allSettled([answered, this.#loops.stop()]), left()]);
    await Promise.race([Promise.allSettled([...this.#flushJobs(), permits.close()]), left(CLOSE_MS)]);
    const closed = this.#deps
      .close()
      .catch((err: unknown) => logger.warn({ err }, 'not everything was closed'));
    await Promise.race([closed, left()]);
    await this.#tellStats(null);
    void this.#channel.send({ kind: 'drained' });
    // The counts of this incarnation must have been read before its end is noticed.
    if (this.#channel.isOpen) await Promise.race([this.#leave.promise, Bun.sleep(LEAVE_WAIT_MS)]);
    for (const timer of this.#timers) clearInterval(timer);
    process.exit(0);
  }
}

function breakersOf(dependencies: Deps['dependencies']): WorkerStatus['breakers'] {
  const found: Record<string, 'open' | 'half-open'> = {};
  for (const { name, state } of dependencies) if (state !== 'closed') found[name] = state;
  return found;
}

/** The lowest limit that the worker keeps by itself now, or null while it keeps none. */
function adaptiveLimitOf({ resources, loopLimit }: ReturnType<App['admission']['stats']>): number | null {
  const engaged = resources.filter(({ isEngaged }) => isEngaged).map(({ limit }) => limit);
  const lowest = Math.min(loopLimit, ...engaged);
  return Number.isFinite(lowest) ? lowest : null;
}
