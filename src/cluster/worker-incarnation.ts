import {
  type FromSupervisor,
  type FromWorker,
  HEARTBEAT_MS,
  WORKER_ENVIRONMENT,
  type WorkerStatus,
} from './messages.ts';

/** Where a worker is in its incarnation. */
export type IncarnationState = 'starting' | 'ready' | 'draining' | 'gone';

/** How a worker process is started. */
export interface WorkerCommand {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** What an incarnation tells the supervisor. */
export interface IncarnationEvents {
  onMessage(incarnation: WorkerIncarnation, message: FromWorker): void;
  onExit(incarnation: WorkerIncarnation): void;
}

/** One process in a slot, from its start to its end. A slot has many incarnations, one after the other. */
export class WorkerIncarnation {
  readonly slot: number;
  readonly number: number;
  readonly workerId: string;
  readonly startedMs = performance.now();
  /** Resolves to true when the worker listens, to false when it ended before. */
  readonly ready: Promise<boolean>;
  readonly exited: Promise<void>;
  state: IncarnationState = 'starting';
  status: WorkerStatus | null = null;
  /** When that was heard; 0 before. */
  heartbeatMs = 0;
  /** Why it was ended, where the supervisor did it. */
  killedFor: 'silence' | 'overtime' | null = null;
  /** Whether it ever listened. */
  wasReady = false;
  /** Null where the system could not start it: an incarnation that is over as it begins. */
  readonly #process: Bun.Subprocess | null;
  readonly #settleReady: (ready: boolean) => void;
  #silenceMs = 0;
  #startingMs = 0;
  #startError = '';

  constructor(
    slot: number,
    incarnation: number,
    workerId: string,
    start: WorkerCommand,
    events: IncarnationEvents,
  ) {
    this.slot = slot;
    this.number = incarnation;
    this.workerId = workerId;
    const ready = Promise.withResolvers<boolean>();
    this.ready = ready.promise;
    this.#settleReady = ready.resolve;
    this.#process = this.#spawn(() =>
      Bun.spawn([...start.command], {
        stdio: ['ignore', 'inherit', 'inherit'],
        serialization: 'json',
        env: {
          ...start.environment,
          [WORKER_ENVIRONMENT.id]: workerId,
          [WORKER_ENVIRONMENT.slot]: String(slot),
          [WORKER_ENVIRONMENT.incarnation]: String(incarnation),
        },
        ipc: (message: FromWorker) => {
          // What arrives after the end is of an incarnation whose counts are already folded.
          if (this.state === 'gone') return;
          this.#silenceMs = 0;
          if (message.kind === 'heartbeat') {
            this.status = message.status;
            this.heartbeatMs = performance.now();
          }
          if (message.kind === 'ready' && this.state === 'starting') {
            this.state = 'ready';
            this.wasReady = true;
            this.#settleReady(true);
          }
          events.onMessage(this, message);
        },
      }),
    );
    this.exited = Promise.resolve(this.#process?.exited).then(() => {
      this.state = 'gone';
      this.#settleReady(false);
      events.onExit(this);
    });
  }

  /** Without processes, memory or the program, starting throws; that is a death like any other. */
  #spawn(start: () => Bun.Subprocess): Bun.Subprocess | null {
    try {
      return start();
    } catch (error) {
      this.#startError = (error as Error).message;
      return null;
    }
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** How it ended, in words. */
  get ending(): string {
    if (!this.#process) return `could not be started: ${this.#startError}`;
    const { signalCode, exitCode } = this.#process;
    return this.killedFor ?? (signalCode ? `ended by ${signalCode}` : `ended with ${exitCode}`);
  }

  send(message: FromSupervisor): void {
    if (this.state === 'gone' || !this.#process || this.#process.killed) return;
    try {
      this.#process.send(message);
    } catch {
      // The channel of a worker that has just died; its exit says the rest.
    }
  }

  /** Asks it to finish what it has and end. */
  drain(): void {
    if (this.state === 'gone') return;
    this.state = 'draining';
    this.send({ kind: 'drain' });
  }

  kill(reason: 'silence' | 'overtime' | null = null): void {
    if (this.state === 'gone') return;
    this.killedFor = reason;
    this.#process?.kill('SIGKILL');
  }

  /**
   * Adds the time since the last look to its silence, and answers whether that is too long. A look that came late adds
   * only two heartbeats: then the supervisor itself had stopped, and what was said meanwhile is still to be read.
   */
  isSilent(sinceLastLookMs: number, silenceMaxMs: number): boolean {
    this.#silenceMs += Math.min(sinceLastLookMs, 2 * HEARTBEAT_MS);
    return this.#silenceMs > silenceMaxMs;
  }

  /** Whether it takes too long to become ready, though it speaks; measured like its silence. */
  isLate(sinceLastLookMs: number, startMaxMs: number): boolean {
    if (this.state === 'starting') this.#startingMs += Math.min(sinceLastLookMs, 2 * HEARTBEAT_MS);
    return this.state === 'starting' && this.#startingMs > startMaxMs;
  }
}
