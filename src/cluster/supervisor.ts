import type { Logger } from '../instrumentation/logger.ts';
import { ClusterStats } from './cluster-stats.ts';
import { type FromWorker, HEARTBEAT_MS } from './messages.ts';
import { CrashLoop, RestartPolicy } from './restart-policy.ts';
import { type ShareChange, Shares } from './shares.ts';
import { type WorkerCommand, WorkerIncarnation } from './worker-incarnation.ts';

/** How a supervisor keeps its workers. Times are in milliseconds. */
export interface SupervisorOptions {
  readonly workers: number;
  /** What is in front of the id of every worker; no other supervisor has it. */
  readonly idPrefix: string;
  readonly start: WorkerCommand;
  /** The permits of this host, and whether each worker is held to its share of them. */
  readonly cap: number;
  readonly capBounded: boolean;
  /** A worker that says nothing for so long is replaced. */
  readonly silenceMaxMs?: number;
  /** A worker that is not ready yet may take this long. */
  readonly startMaxMs?: number;
  /** How long a worker may take to drain before it is ended. */
  readonly drainMaxMs: number;
  readonly logger: Logger;
  /** Called with the processes of all workers whenever one was started or has ended. */
  onProcesses?(pids: readonly number[]): void;
  /** Called once when workers die as fast as they are started. The workers are dead then. */
  onCrashLoop(error: Error): void;
}

/** Why a worker was started in the place of another. */
export type RestartReason = 'crashed' | 'silent' | 'replaced';

/** One of the places that workers come and go in. */
export interface Slot {
  readonly index: number;
  readonly policy: RestartPolicy;
  /** Oldest first. More than one only while a worker is replaced. */
  incarnations: WorkerIncarnation[];
  livesStarted: number;
  restarts: number;
  timer: Timer | null;
}

const SILENCE_MAX_MS = 5000;
const START_MAX_MS = 30_000;
const EXITS_PENDING_MAX = 256;
const EXIT_REPORT_MS = 1000;

/**
 * Keeps a worker in every slot: starts them, starts anew what dies or falls silent, replaces them one by one, and
 * drains them all at the end. It serves no request itself, so nothing that a request does can stop it. After the
 * prefork masters of nginx and Unicorn; heartbeats and restart limits as in Erlang's supervisors.
 */
export class Supervisor {
  readonly slots: readonly Slot[];
  readonly restarts: Record<RestartReason, number> = { crashed: 0, silent: 0, replaced: 0 };
  readonly stats: ClusterStats;
  /** Told of every message, after the supervisor itself. */
  onMessage: (incarnation: WorkerIncarnation, message: FromWorker) => void = () => {};
  readonly #options: SupervisorOptions;
  readonly #logger: Logger;
  readonly #shares: Shares;
  readonly #crashLoop: CrashLoop;
  readonly #exitsPending = new Set<string>();
  readonly #timers: Timer[];
  #lookedMs = performance.now();
  #stopping = false;
  #jobsIncarnation: WorkerIncarnation | null = null;
  #rolling: Promise<void> | null = null;
  #rollAgain = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#logger = options.logger;
    this.#crashLoop = new CrashLoop(options.workers);
    this.#shares = new Shares(options.cap, options.workers, options.capBounded);
    this.stats = new ClusterStats(options.workers);
    this.slots = Array.from({ length: options.workers }, (_, index) => ({
      index,
      policy: new RestartPolicy(),
      incarnations: [],
      livesStarted: 0,
      restarts: 0,
      timer: null,
    }));
    this.#timers = [
      setInterval(() => this.#look(), HEARTBEAT_MS),
      setInterval(() => this.#reportExits(), EXIT_REPORT_MS),
    ];
  }

  /** Every worker that is alive now. */
  get incarnations(): WorkerIncarnation[] {
    return this.slots.flatMap(({ incarnations }) => incarnations);
  }

  /** Starts a worker in every slot. Answers true when each had one ready, and false when it was stopped before. */
  async start(): Promise<boolean> {
    await Promise.all(this.slots.map((slot) => this.#untilReady(slot)));
    return !this.#stopping;
  }

  async #untilReady(slot: Slot): Promise<void> {
    for (let incarnation = this.#startIncarnation(slot); !(await incarnation.ready) && !this.#stopping; ) {
      const next = slot.incarnations.at(-1);
      if (next) incarnation = next;
      else await Bun.sleep(HEARTBEAT_MS);
    }
  }

  #startIncarnation(slot: Slot): WorkerIncarnation {
    const number = ++slot.livesStarted;
    const id = `${this.#options.idPrefix}-${slot.index}-${number}`;
    const incarnation = new WorkerIncarnation(slot.index, number, id, this.#options.start, {
      onMessage: (from, message) => this.#hear(from, message),
      onExit: (gone) => this.#bury(gone),
    });
    slot.incarnations.push(incarnation);
    this.#tellProcesses();
    return incarnation;
  }

  #tellProcesses(): void {
    this.#options.onProcesses?.(this.incarnations.flatMap(({ pid }) => pid ?? []));
  }

  #hear(incarnation: WorkerIncarnation, message: FromWorker): void {
    const { slot, number } = incarnation;
    if (message.kind === 'booted') this.#tellShares(this.#shares.join(slot, number));
    else if (message.kind === 'ready') {
      this.#crashLoop.ready();
      this.#assignJobs();
    } else if (message.kind === 'heartbeat') {
      const { sharesApplied: applied, accepting, status } = message;
      const { inFlight } = status;
      this.#tellShares(this.#shares.report(slot, number, { applied, inFlight, accepting }));
    } else if (message.kind === 'stats') this.stats.record(slot, number, message.stats);
    else if (message.kind === 'exit-reported') this.#exitsPending.delete(message.workerId);
    else if (message.kind === 'drained') incarnation.send({ kind: 'leave' });
    this.onMessage(incarnation, message);
  }

  #tellShares(changes: readonly ShareChange[]): void {
    for (const { slot, incarnation, permits } of changes) {
      const holder = this.slots[slot]!.incarnations.find(({ number }) => number === incarnation);
      holder?.send({ kind: 'share', permits: Number.isFinite(permits) ? permits : null });
    }
  }

  #bury(incarnation: WorkerIncarnation): void {
    const slot = this.slots[incarnation.slot]!;
    slot.incarnations = slot.incarnations.filter((known) => known !== incarnation);
    this.#tellProcesses();
    this.stats.depart(incarnation.slot, incarnation.number);
    this.#tellShares(this.#shares.leave(incarnation.slot, incarnation.number));
    this.#exitsPending.add(incarnation.workerId);
    if (this.#exitsPending.size > EXITS_PENDING_MAX)
      this.#exitsPending.delete(this.#exitsPending.values().next().value!);
    if (this.#stopping) return;
    this.#reportExits();
    this.#assignJobs();
    if (slot.incarnations.some(({ state }) => state !== 'draining')) return;
    this.#restart(slot, incarnation);
  }

  /** Starts the next incarnation of a slot whose last one died, unless that has become pointless. */
  #restart(slot: Slot, died: WorkerIncarnation): void {
    this.restarts[died.killedFor === 'silence' ? 'silent' : 'crashed']++;
    slot.restarts++;
    const noneReady = this.incarnations.every(({ state }) => state !== 'ready');
    if (!died.wasReady && this.#crashLoop.died(performance.now()) && noneReady) {
      this.#giveUp(died);
      return;
    }
    const delayMs = slot.policy.delayMs(performance.now() - died.startedMs);
    this.#logger.warn({ slot: slot.index, pid: died.pid, delayMs }, `a worker is gone: ${died.ending}`);
    slot.timer = setTimeout(() => {
      if (!this.#stopping) this.#startIncarnation(slot);
    }, delayMs);
  }

  #giveUp(last: WorkerIncarnation): void {
    this.#end();
    for (const incarnation of this.incarnations) incarnation.kill();
    this.#options.onCrashLoop(
      new Error(
        `Atlas cannot keep a worker alive.\n  why:  more than ${this.#crashLoop.deathsMax} ended within 60 s and none was ready; the last one ${last.ending}\n  do:   read what they wrote above, correct it, and start again`,
      ),
    );
  }

  /** Ends what has fallen silent, and what speaks but does not become ready; `#bury` starts the next incarnation. */
  #look(): void {
    const nowMs = performance.now();
    const sinceMs = nowMs - this.#lookedMs;
    this.#lookedMs = nowMs;
    const { silenceMaxMs = SILENCE_MAX_MS, startMaxMs = START_MAX_MS } = this.#options;
    for (const incarnation of this.incarnations) {
      const { slot, pid } = incarnation;
      const isSilent = incarnation.isSilent(sinceMs, incarnation.status === null ? startMaxMs : silenceMaxMs);
      const isLate = incarnation.isLate(sinceMs, startMaxMs);
      if (incarnation.killedFor !== null || !(isSilent || isLate)) continue;
      if (isSilent) this.#logger.warn({ slot, pid }, 'a worker has fallen silent and is ended');
      else this.#logger.warn({ slot, pid }, 'a worker does not become ready and is ended');
      incarnation.kill(isSilent ? 'silence' : 'overtime');
    }
  }

  /** What only one worker of the host must do is done by the one in the lowest slot that is ready. */
  #assignJobs(): void {
    const chosen = this.incarnations.find(({ state }) => state === 'ready') ?? null;
    if (chosen === this.#jobsIncarnation) return;
    this.#jobsIncarnation?.send({ kind: 'jobs', run: false });
    this.#jobsIncarnation = chosen;
    chosen?.send({ kind: 'jobs', run: true });
  }

  #reportExits(): void {
    const reporter = this.incarnations.find(({ state }) => state === 'ready');
    for (const workerId of this.#exitsPending) reporter?.send({ kind: 'exited', workerId });
  }

  /**
   * Replaces all workers, one slot after the other. Asked again meanwhile, it makes one more round afterwards, however
   * often it was asked: a round that has not begun yet serves everybody who waits for it.
   */
  roll(): Promise<void> {
    if (this.#rolling) this.#rollAgain = true;
    else
      this.#rolling = this.#rollRounds().finally(() => {
        this.#rolling = null;
      });
    return this.#rolling!;
  }

  async #rollRounds(): Promise<void> {
    do {
      this.#rollAgain = false;
      this.#logger.info('replacing the workers one by one');
      for (const slot of this.slots) {
        if (!this.#stopping && !(await this.#replace(slot)))
          return this.#logger.error(
            { slot: slot.index },
            'the replacement stops: a new worker did not start',
          );
      }
      this.#logger.info('all workers are replaced');
    } while (this.#rollAgain && !this.#stopping);
  }

  /** False when the successor could not start; then the old worker stays. */
  async #replace(slot: Slot): Promise<boolean> {
    const old = slot.incarnations.at(-1);
    if (old?.state !== 'ready') return true;
    const successor = this.#startIncarnation(slot);
    if (!(await successor.ready)) return this.#stopping;
    this.restarts.replaced++;
    await this.#drain(old);
    return true;
  }

  /** Drains a worker and resolves when it is gone, which does not take longer than it may. */
  async #drain(incarnation: WorkerIncarnation): Promise<void> {
    incarnation.drain();
    this.#assignJobs();
    const overtime = setTimeout(() => incarnation.kill('overtime'), this.#options.drainMaxMs);
    await incarnation.exited;
    clearTimeout(overtime);
  }

  /** Drains all workers at the same time. A worker that does not serve yet is just ended. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#endPauses();
    for (const incarnation of this.incarnations) if (incarnation.state === 'starting') incarnation.kill();
    await Promise.all(
      this.incarnations.map((incarnation) =>
        incarnation.state === 'starting' ? incarnation.exited : this.#drain(incarnation),
      ),
    );
    this.#end();
  }

  /** Ends all workers now, whatever they have in flight. */
  kill(): void {
    this.#end();
    for (const incarnation of this.incarnations) incarnation.kill();
  }

  #end(): void {
    this.#stopping = true;
    for (const timer of this.#timers) clearInterval(timer);
    this.#endPauses();
  }

  /** Nobody who waits for the next incarnation of a slot gets one. */
  #endPauses(): void {
    for (const { timer } of this.slots) clearTimeout(timer ?? undefined);
  }
}
