import {
  type FromSupervisor,
  type FromWorker,
  HEARTBEAT_MS,
  WORKER_ENVIRONMENT,
  type WorkerStatus,
} from './messages.ts';
import { type Responsiveness, Silence, type SilenceLimits } from './silence.ts';

type Phase =
  /** `elapsedMs` is the time spent in this phase, as far as it counts toward the start deadline. */
  | { readonly kind: 'starting'; elapsedMs: number }
  | { readonly kind: 'ready' }
  | { readonly kind: 'draining' }
  | { readonly kind: 'gone'; readonly wasReady: boolean };

export type IncarnationState = Phase['kind'];

/**
 * Why the supervisor killed a worker: it sent no heartbeats and did nothing, computed for too long without one, or took
 * too long to start or to drain.
 */
export type KillReason = 'silence' | 'busy' | 'timeout';

/** What a check of a worker found: nothing, that it is busy, or has been for too long, or why it must be killed. */
export type Liveness = Exclude<Responsiveness, 'dead'> | Exclude<KillReason, 'busy'>;

/** The command that starts a worker process, and its environment. */
export interface WorkerCommand {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Callbacks of an incarnation. */
export interface IncarnationEvents {
  onMessage(incarnation: WorkerIncarnation, message: FromWorker): void;
  onExit(incarnation: WorkerIncarnation): void;
}

/** When a worker counts as failed. */
export interface LivenessLimits extends SilenceLimits {
  /** Longest start, and longest silence before the first heartbeat. */
  readonly startMaxMs: number;
}

type Spawned =
  | { readonly kind: 'running'; readonly process: Bun.Subprocess }
  /** The system could not start the process; the incarnation is over immediately. */
  | { readonly kind: 'failed'; readonly error: string };

/** One worker process of a slot, from start to exit. */
export class WorkerIncarnation {
  readonly slot: number;
  readonly number: number;
  readonly workerId: string;
  readonly startedMs = performance.now();
  /** Resolves to true when the worker listens, to false if it exits before. */
  readonly ready: Promise<boolean>;
  readonly exited: Promise<void>;
  /** The last heartbeat; null before the first one. */
  heartbeat: { readonly status: WorkerStatus; readonly receivedMs: number } | null = null;
  killedFor: KillReason | null = null;
  readonly #spawned: Spawned;
  readonly #settleReady: (ready: boolean) => void;
  readonly #events: IncarnationEvents;
  #phase: Phase = { kind: 'starting', elapsedMs: 0 };
  readonly #silence = new Silence();

  constructor(
    slot: number,
    number: number,
    workerId: string,
    command: WorkerCommand,
    events: IncarnationEvents,
  ) {
    this.slot = slot;
    this.number = number;
    this.workerId = workerId;
    this.#events = events;
    const ready = Promise.withResolvers<boolean>();
    this.ready = ready.promise;
    this.#settleReady = ready.resolve;
    this.#spawned = this.#spawn(command);
    const exit = this.#spawned.kind === 'running' ? this.#spawned.process.exited : null;
    this.exited = Promise.resolve(exit).then(() => {
      this.#phase = { kind: 'gone', wasReady: this.wasReady };
      this.#settleReady(false);
      events.onExit(this);
    });
  }

  /** Spawning throws if the host is out of processes or memory, or the program is missing. */
  #spawn({ command, environment }: WorkerCommand): Spawned {
    try {
      const process = Bun.spawn([...command], {
        stdio: ['ignore', 'inherit', 'inherit'],
        serialization: 'json',
        env: {
          ...environment,
          [WORKER_ENVIRONMENT.id]: this.workerId,
          [WORKER_ENVIRONMENT.slot]: String(this.slot),
          [WORKER_ENVIRONMENT.incarnation]: String(this.number),
        },
        ipc: (message: FromWorker) => this.#handle(message),
      });
      return { kind: 'running', process };
    } catch (error) {
      return { kind: 'failed', error: (error as Error).message };
    }
  }

  #handle(message: FromWorker): void {
    // The counts of an incarnation that has exited are already folded.
    if (this.#phase.kind === 'gone') return;
    this.#silence.end();
    if (message.kind === 'heartbeat') {
      this.heartbeat = { status: message.status, receivedMs: performance.now() };
    }
    if (message.kind === 'ready' && this.#phase.kind === 'starting') {
      this.#phase = { kind: 'ready' };
      this.#settleReady(true);
    }
    this.#events.onMessage(this, message);
  }

  get state(): IncarnationState {
    return this.#phase.kind;
  }

  /** Whether it computes and therefore sends no heartbeats, as of the last check or message. */
  get isBusy(): boolean {
    const { state } = this.#silence;
    return this.heartbeat !== null && (state === 'busy' || state === 'overdue');
  }

  /** How long it has sent nothing, as of the last check. */
  get silenceMs(): number {
    return this.#silence.silenceMs;
  }

  /** Whether it ever listened. */
  get wasReady(): boolean {
    return this.#phase.kind === 'gone' ? this.#phase.wasReady : this.#phase.kind !== 'starting';
  }

  get status(): WorkerStatus | null {
    return this.heartbeat?.status ?? null;
  }

  get pid(): number | undefined {
    return this.#spawned.kind === 'running' ? this.#spawned.process.pid : undefined;
  }

  /** How it exited, for logs and errors. */
  get exitText(): string {
    if (this.#spawned.kind === 'failed') return `failed to start: ${this.#spawned.error}`;
    if (this.killedFor === 'silence') return 'killed, no heartbeats';
    if (this.killedFor === 'busy') return 'killed, computed for too long without a heartbeat';
    if (this.killedFor === 'timeout') return 'killed, timed out';
    const { signalCode, exitCode } = this.#spawned.process;
    return signalCode ? `killed by ${signalCode}` : `exited with status ${exitCode}`;
  }

  send(message: FromSupervisor): void {
    if (this.#phase.kind === 'gone' || this.#spawned.kind === 'failed' || this.#spawned.process.killed)
      return;
    try {
      this.#spawned.process.send(message);
    } catch {
      // The worker has just died; its exit is handled separately.
    }
  }

  /** Sends the order to finish all requests in flight and exit. */
  drain(): void {
    if (this.#phase.kind === 'gone') return;
    this.#phase = { kind: 'draining' };
    this.send({ kind: 'drain' });
  }

  kill(reason: KillReason | null = null): void {
    if (this.#phase.kind === 'gone') return;
    this.killedFor = reason;
    if (this.#spawned.kind === 'running') this.#spawned.process.kill('SIGKILL');
  }

  /**
   * Checks the worker against the limits. A late check counts as two heartbeats at most: the supervisor itself was
   * stalled then, and messages sent meanwhile are still unread.
   */
  checkLiveness(
    sinceLastCheckMs: number,
    limits: LivenessLimits,
    processorTimeOf: (pid: number) => number | null,
  ): Liveness {
    const elapsedMs = Math.min(sinceLastCheckMs, 2 * HEARTBEAT_MS);
    const processorTime = this.pid === undefined ? null : processorTimeOf(this.pid);
    const silence = this.#silence.check(elapsedMs, processorTime, limits);
    if (this.#phase.kind === 'starting') this.#phase.elapsedMs += elapsedMs;
    if (this.heartbeat === null)
      return this.#silence.silenceMs > limits.startMaxMs ? 'silence' : 'responsive';
    if (silence === 'dead') return 'silence';
    return this.#phase.kind === 'starting' && this.#phase.elapsedMs > limits.startMaxMs ? 'timeout' : silence;
  }
}
