import { type IncarnationEvents, type WorkerCommand, WorkerIncarnation } from './worker-incarnation.ts';
import { WorkerSlot } from './worker-slot.ts';

/** Settings of a pool. */
export interface WorkerPoolOptions {
  readonly workers: number;
  /** Prefix of every worker id, unique to this supervisor. */
  readonly idPrefix: string;
  readonly start: WorkerCommand;
  /** Called with the process ids of all workers after each start and each exit. */
  onProcesses?(pids: readonly number[]): void;
}

/** The slots of a supervisor and the worker processes in them. */
export class WorkerPool {
  readonly slots: readonly WorkerSlot[];
  readonly #options: WorkerPoolOptions;

  constructor(options: WorkerPoolOptions, events: IncarnationEvents) {
    const { workers, idPrefix, start } = options;
    this.#options = options;
    const spawn = (slot: number, number: number) =>
      new WorkerIncarnation(slot, number, `${idPrefix}-${slot}-${number}`, start, events);
    this.slots = Array.from({ length: workers }, (_, index) => new WorkerSlot(index, spawn));
  }

  /** All live workers, by slot, the oldest of a slot first. */
  get incarnations(): WorkerIncarnation[] {
    return this.slots.flatMap(({ incarnations }) => [...incarnations]);
  }

  /** The ready worker with the lowest slot, or one that is busy if all are. */
  get firstReady(): WorkerIncarnation | null {
    const ready = this.incarnations.filter(({ state }) => state === 'ready');
    return ready.find(({ isBusy }) => !isBusy) ?? ready[0] ?? null;
  }

  find(slot: number, number: number): WorkerIncarnation | undefined {
    return this.slots[slot]!.incarnations.find((incarnation) => incarnation.number === number);
  }

  /** Starts the next incarnation of a slot, in addition to those that are alive. */
  start(slot: WorkerSlot): WorkerIncarnation {
    const incarnation = slot.start();
    this.#publishProcesses();
    return incarnation;
  }

  /** Removes a worker that has exited, and returns its slot. */
  remove(incarnation: WorkerIncarnation): WorkerSlot {
    const slot = this.slots[incarnation.slot]!;
    slot.remove(incarnation);
    this.#publishProcesses();
    return slot;
  }

  cancelRestarts(): void {
    for (const slot of this.slots) slot.cancelRestart();
  }

  kill(): void {
    for (const incarnation of this.incarnations) incarnation.kill();
  }

  #publishProcesses(): void {
    this.#options.onProcesses?.(this.incarnations.flatMap(({ pid }) => pid ?? []));
  }
}
