import type { WorkerIncarnation } from './worker-incarnation.ts';

const PENDING_MAX = 256;

/** Exits of workers that are not yet reported to Redis, where their permits are still leased. */
export class ExitReports {
  readonly #pending = new Set<string>();

  /** Adds an exit. Beyond 256 pending exits the oldest is dropped: its lease expires instead. */
  add(workerId: string): void {
    this.#pending.add(workerId);
    if (this.#pending.size > PENDING_MAX) this.#pending.delete(this.#pending.values().next().value!);
  }

  /** Removes an exit that a worker has reported. */
  confirm(workerId: string): void {
    this.#pending.delete(workerId);
  }

  /** Requests that the worker report every pending exit; each stays pending until it is confirmed. */
  sendTo(reporter: WorkerIncarnation): void {
    for (const workerId of this.#pending) reporter.send({ kind: 'report-exit', workerId });
  }
}
