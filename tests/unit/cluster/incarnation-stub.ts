import type { FromSupervisor } from '../../../src/cluster/messages.ts';
import type {
  IncarnationState,
  KillReason,
  WorkerIncarnation,
} from '../../../src/cluster/worker-incarnation.ts';

/** A worker without a process, whose state is set by the test. Records the messages sent to it. */
export class IncarnationStub {
  state: IncarnationState;
  readonly sent: FromSupervisor[] = [];
  readonly kills: (KillReason | null)[] = [];
  readonly startedMs = performance.now();
  readonly slot = 0;
  readonly pid = 1;
  killedFor: KillReason | null = null;
  /** What `checkLiveness` returns. */
  failure: KillReason | null = null;
  readonly #ready = Promise.withResolvers<boolean>();
  readonly ready = this.#ready.promise;

  constructor(state: IncarnationState = 'ready') {
    this.state = state;
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

  checkLiveness(): KillReason | null {
    return this.failure;
  }
}
