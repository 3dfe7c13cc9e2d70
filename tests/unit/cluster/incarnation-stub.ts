import type { FromSupervisor } from '../../../src/cluster/messages.ts';
import type {
  IncarnationState,
  KillReason,
  Liveness,
  WorkerIncarnation,
} from '../../../src/cluster/worker-incarnation.ts';

/** A worker without a process, whose state is set by the test. Records the messages sent to it. */
export class IncarnationStub {
  state: IncarnationState;
  readonly sent: FromSupervisor[] = [];
  readonly kills: (KillReason | null)[] = [];
  readonly startedMs = performance.now();
  readonly slot: number;
  readonly pid = 1;
  killedFor: KillReason | null = null;
  /** What `checkLiveness` returns. */
  liveness: Liveness = 'responsive';
  /** What `checkLiveness` was called with. */
  readonly checks: Parameters<WorkerIncarnation['checkLiveness']>[] = [];
  silenceMs = 0;
  readonly #ready = Promise.withResolvers<boolean>();
  readonly ready = this.#ready.promise;

  constructor(state: IncarnationState = 'ready', slot = 0) {
    this.state = state;
    this.slot = slot;
  }

  get incarnation(): WorkerIncarnation {
    return this as unknown as WorkerIncarnation;
  }

  settle(isReady: boolean): void {
    this.state = isReady ? 'ready' : 'gone';
    this.#ready.resolve(isReady);
  }

  send(message: FromSupervisor): void {
    this.sent.push(message);
  }

  kill(reason: KillReason | null = null): void {
    this.killedFor = reason;
    this.kills.push(reason);
  }

  get isBusy(): boolean {
    return this.liveness === 'busy' || this.liveness === 'overdue';
  }

  checkLiveness(...given: Parameters<WorkerIncarnation['checkLiveness']>): Liveness {
    this.checks.push(given);
    return this.liveness;
  }
}
