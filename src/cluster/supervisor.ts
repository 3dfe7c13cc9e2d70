import type { Logger } from '../instrumentation/logger.ts';
import { BusyReplacement } from './busy-replacement.ts';
import { ClusterStats } from './cluster-stats.ts';
import { CrashLoop } from './crash-loop.ts';
import { ExitReports } from './exit-reports.ts';
import { HostJobs } from './host-jobs.ts';
import { LivenessMonitor } from './liveness-monitor.ts';
import { type FromWorker, HEARTBEAT_MS } from './messages.ts';
import { RollingReplacement } from './rolling-replacement.ts';
import { type ShareChange, Shares } from './shares.ts';
import type { WorkerIncarnation } from './worker-incarnation.ts';
import { WorkerPool, type WorkerPoolOptions } from './worker-pool.ts';
import type { WorkerSlot } from './worker-slot.ts';

/** Settings of a supervisor. Times are in milliseconds. */
export interface SupervisorOptions extends WorkerPoolOptions {
  /** Permits of this host, and whether each worker is limited to its share of them. */
  readonly cap: number;
  readonly capBounded: boolean;
  /** A worker that sends nothing and does nothing for this long is killed, and replaced. */
  readonly silenceMaxMs?: number;
  /** A worker that sends nothing for this long, because it computes, is replaced, and then killed. */
  readonly busyMaxMs?: number;
  /** A worker that is not ready after this long is replaced. */
  readonly startMaxMs?: number;
  /** A worker that is still draining after this long is killed. */
  readonly drainMaxMs: number;
  readonly logger: Logger;
  /** Called once, after all workers were killed, if they crash as fast as they are started. */
  onCrashLoop(error: Error): void;
}

/** Why a worker was started in place of another. */
export type RestartReason = 'crashed' | 'silent' | 'busy' | 'replaced';

const SILENCE_MAX_MS = 5000;
const BUSY_MAX_MS = 30_000;
const START_MAX_MS = 30_000;
const EXIT_REPORT_MS = 1000;

/**
 * Runs one worker per slot: starts them, restarts those that die or hang, replaces them one at a time, and drains them
 * all at the end. It serves no requests itself, so no request can take it down. After the prefork masters
 * of nginx and Unicorn; heartbeats and restart limits as in Erlang's supervisors.
 */
export class Supervisor {
  readonly restarts: Record<RestartReason, number> = { crashed: 0, silent: 0, busy: 0, replaced: 0 };
  readonly stats: ClusterStats;
  /** Called with every message, after the supervisor has handled it. */
  onMessage: (incarnation: WorkerIncarnation, message: FromWorker) => void = () => {};
  readonly #options: SupervisorOptions;
  readonly #logger: Logger;
  readonly #pool: WorkerPool;
  readonly #shares: Shares;
  readonly #crashLoop: CrashLoop;
  readonly #liveness: LivenessMonitor;
  readonly #hostJobs = new HostJobs(() => this.incarnations);
  readonly #exitReports = new ExitReports();
  readonly #replacement: RollingReplacement;
  readonly #busyReplacement: BusyReplacement;
  readonly #timers: Timer[];
  #isStopping = false;

  constructor(options: SupervisorOptions) {
    const { workers, logger } = options;
    this.#options = options;
    this.#logger = logger;
    this.stats = new ClusterStats(workers);
    this.#pool = new WorkerPool(options, {
      onMessage: (incarnation, message) => this.#handle(incarnation, message),
      onExit: (incarnation) => this.#reap(incarnation),
    });
    this.#shares = new Shares(options.cap, workers, options.capBounded);
    this.#crashLoop = new CrashLoop(workers);
    const starting = {
      slots: this.slots,
      logger,
      isStopping: () => this.#isStopping,
      startIncarnation: (slot: WorkerSlot) => this.#pool.start(slot),
    };
    this.#replacement = new RollingReplacement({ ...starting, retire: (old) => this.#retire(old) });
    this.#busyReplacement = new BusyReplacement({ ...starting, retire: (old) => this.#retireBusy(old) });
    this.#liveness = new LivenessMonitor({
      limits: {
        silenceMaxMs: options.silenceMaxMs ?? SILENCE_MAX_MS,
        busyMaxMs: options.busyMaxMs ?? BUSY_MAX_MS,
        startMaxMs: options.startMaxMs ?? START_MAX_MS,
      },
      logger,
      replace: (overdue) => this.#busyReplacement.request(overdue),
      onBusyChange: () => this.#assignHostJobs(),
    });
    this.#timers = [
      setInterval(() => this.#liveness.check(this.incarnations), HEARTBEAT_MS),
      setInterval(() => this.#reportExits(), EXIT_REPORT_MS),
    ];
  }

  get slots(): readonly WorkerSlot[] {
    return this.#pool.slots;
  }

  /** All live workers, by slot, the oldest of a slot first. */
  get incarnations(): WorkerIncarnation[] {
    return this.#pool.incarnations;
  }

  /** Starts a worker in every slot. Resolves to true when all are ready, to false if it was stopped before. */
  async start(): Promise<boolean> {
    await Promise.all(this.slots.map((slot) => this.#startUntilReady(slot)));
    return !this.#isStopping;
  }

  async #startUntilReady(slot: WorkerSlot): Promise<void> {
    let incarnation = this.#pool.start(slot);
    while (!(await incarnation.ready) && !this.#isStopping) {
      const next = slot.incarnations.at(-1);
      if (next) incarnation = next;
      else await Bun.sleep(HEARTBEAT_MS);
    }
  }

  #handle(incarnation: WorkerIncarnation, message: FromWorker): void {
    const { slot, number } = incarnation;
    if (message.kind === 'booted') this.#sendShares(this.#shares.join(slot, number));
    else if (message.kind === 'ready') {
      this.#crashLoop.reset();
      this.#assignHostJobs();
      this.#hostJobs.introduce(incarnation);
    } else if (message.kind === 'heartbeat') {
      const { sharesApplied: applied, accepting, status } = message;
      const { inFlight } = status;
      this.#sendShares(this.#shares.report(slot, number, { applied, inFlight, accepting }));
    } else if (message.kind === 'stats') this.stats.record(slot, number, message.stats);
    else if (message.kind === 'committing') this.#hostJobs.announce(message.committer, incarnation);
    else if (message.kind === 'exit-reported') this.#exitReports.confirm(message.workerId);
    else if (message.kind === 'drained') incarnation.send({ kind: 'exit' });
    this.onMessage(incarnation, message);
  }

  #sendShares(changes: readonly ShareChange[]): void {
    for (const { slot, incarnation, permits } of changes) {
      const worker = this.#pool.find(slot, incarnation);
      worker?.send({ kind: 'share', permits: Number.isFinite(permits) ? permits : null });
    }
  }

  #assignHostJobs(): void {
    this.#hostJobs.assign(this.#pool.firstReady);
  }

  #reportExits(): void {
    const reporter = this.#pool.firstReady;
    if (reporter) this.#exitReports.sendTo(reporter);
  }

  /** Releases everything an exited worker held, and restarts its slot if no other worker is in it. */
  #reap(incarnation: WorkerIncarnation): void {
    const slot = this.#pool.remove(incarnation);
    this.stats.retire(incarnation.slot, incarnation.number);
    this.#sendShares(this.#shares.leave(incarnation.slot, incarnation.number));
    this.#exitReports.add(incarnation.workerId);
    if (this.#isStopping) return;
    this.#reportExits();
    this.#assignHostJobs();
    if (!slot.isOccupied) this.#restart(slot, incarnation);
  }

  /** Schedules the next incarnation of an empty slot, or fails the supervisor if this is a crash loop. */
  #restart(slot: WorkerSlot, died: WorkerIncarnation): void {
    this.restarts[died.killedFor === 'silence' ? 'silent' : 'crashed']++;
    slot.restarts++;
    if (!died.wasReady && this.#crashLoop.recordDeath(performance.now()) && this.#pool.firstReady === null) {
      this.#failCrashLoop(died);
      return;
    }
    const delayMs = slot.scheduleRestart(died, () => {
      if (!this.#isStopping) this.#pool.start(slot);
    });
    this.#logger.warn({ slot: slot.index, pid: died.pid, delayMs }, `worker down: ${died.exitText}`);
  }

  #failCrashLoop(last: WorkerIncarnation): void {
    this.kill();
    this.#options.onCrashLoop(
      new Error(
        `Atlas cannot keep a worker alive.\n  why:  more than ${this.#crashLoop.deathsMax} workers died within 60 s and none became ready (last one: ${last.exitText})\n  do:   fix the errors that the workers printed above, then start again`,
      ),
    );
  }

  /** Replaces all workers, one slot after the other. Requests during a round share the one after it. */
  roll(): Promise<void> {
    return this.#replacement.run();
  }

  #retire(old: WorkerIncarnation): Promise<void> {
    this.restarts.replaced++;
    return this.#drain(old);
  }

  /** Kills a worker that is still busy, and drains one that recovered while its successor started. */
  async #retireBusy(old: WorkerIncarnation): Promise<void> {
    this.restarts.busy++;
    this.slots[old.slot]!.restarts++;
    if (!old.isBusy) return this.#drain(old);
    const { slot, pid } = old;
    this.#logger.warn(
      { slot, pid },
      'killing a busy worker that sends no heartbeats: its successor is ready',
    );
    old.kill('busy');
    await old.exited;
  }

  /** Drains a worker and resolves when it has exited; kills it if that takes too long. */
  async #drain(incarnation: WorkerIncarnation): Promise<void> {
    incarnation.drain();
    this.#assignHostJobs();
    const timeout = setTimeout(() => incarnation.kill('timeout'), this.#options.drainMaxMs);
    await incarnation.exited;
    clearTimeout(timeout);
  }

  /** Drains all workers at the same time. Workers that are not ready yet are killed. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#pool.cancelRestarts();
    await Promise.all(
      this.incarnations.map((incarnation) => {
        if (incarnation.state !== 'starting') return this.#drain(incarnation);
        incarnation.kill();
        return incarnation.exited;
      }),
    );
    this.#halt();
  }

  /** Kills all workers immediately, with whatever they have in flight. */
  kill(): void {
    this.#halt();
    this.#pool.kill();
  }

  #halt(): void {
    this.#isStopping = true;
    for (const timer of this.#timers) clearInterval(timer);
    this.#pool.cancelRestarts();
  }
}
