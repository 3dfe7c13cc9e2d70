import type { WorkerIncarnation } from './worker-incarnation.ts';

/** Assigns the jobs that run once per host to a single worker. */
export class HostJobs {
  #runner: WorkerIncarnation | null = null;

  /** Moves the jobs to this worker, or stops them everywhere if it is null. */
  assign(runner: WorkerIncarnation | null): void {
    if (runner === this.#runner) return;
    this.#runner?.send({ kind: 'jobs', run: false });
    this.#runner = runner;
    runner?.send({ kind: 'jobs', run: true });
  }
}
