import { RestartPolicy } from './restart-policy.ts';
import type { WorkerIncarnation } from './worker-incarnation.ts';

/** Runs one worker as a sequence of incarnations, which overlap only while a worker is replaced. */
export class WorkerSlot {
  readonly index: number;
  /** Live incarnations, oldest first. */
  incarnations: readonly WorkerIncarnation[] = [];
  incarnationsStarted = 0;
  restarts = 0;
  readonly #policy = new RestartPolicy();
  readonly #spawn: (number: number) => WorkerIncarnation;
  /** The scheduled restart. */
  #restart: Timer | null = null;

  constructor(index: number, spawn: (slot: number, number: number) => WorkerIncarnation) {
    this.index = index;
    this.#spawn = (number) => spawn(index, number);
  }

  /** Whether a worker serves or will serve in this slot, as opposed to draining. */
  get isOccupied(): boolean {
    return this.#restart !== null || this.incarnations.some(({ state }) => state !== 'draining');
  }

  start(): WorkerIncarnation {
    const incarnation = this.#spawn(++this.incarnationsStarted);
    this.incarnations = [...this.incarnations, incarnation];
    return incarnation;
  }

  remove(incarnation: WorkerIncarnation): void {
    this.incarnations = this.incarnations.filter((other) => other !== incarnation);
  }

  /** Calls back when the next incarnation is due after this death. Returns the delay in milliseconds. */
  scheduleRestart(died: WorkerIncarnation, onDue: () => void): number {
    const delayMs = this.#policy.delayMs(performance.now() - died.startedMs);
    this.#restart = setTimeout(() => {
      this.#restart = null;
      onDue();
    }, delayMs);
    return delayMs;
  }

  cancelRestart(): void {
    clearTimeout(this.#restart ?? undefined);
    this.#restart = null;
  }
}
