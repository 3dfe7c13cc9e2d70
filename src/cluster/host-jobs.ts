import { rmSync } from 'node:fs';
import type { Committer } from './messages.ts';
import type { WorkerIncarnation } from './worker-incarnation.ts';

/** Assigns what runs once per host to a single worker: its jobs, and posting the payments of all its workers. */
export class HostJobs {
  readonly #workers: () => readonly WorkerIncarnation[];
  #runner: WorkerIncarnation | null = null;
  /** The runner as committer, once it listens. */
  #committer: Committer | null = null;

  constructor(workers: () => readonly WorkerIncarnation[]) {
    this.#workers = workers;
  }

  /** Moves the jobs to this worker, or stops them everywhere if it is null. */
  assign(runner: WorkerIncarnation | null): void {
    if (runner === this.#runner) return;
    this.#runner?.send({ kind: 'jobs', run: false });
    // A killed worker leaves its socket. Connections of one that drains stay open.
    if (this.#committer !== null) rmSync(this.#committer.socket, { force: true });
    this.#committer = null;
    this.#runner = runner;
    runner?.send({ kind: 'jobs', run: true });
  }

  /** The runner listens for the payments of the others. */
  announce(committer: Committer, runner: WorkerIncarnation): void {
    if (runner !== this.#runner) return;
    this.#committer = committer;
    for (const worker of this.#workers()) this.introduce(worker);
  }

  /** Tells a worker where to send its payments. */
  introduce(worker: WorkerIncarnation): void {
    if (this.#committer === null || worker === this.#runner) return;
    worker.send({ kind: 'committer', committer: this.#committer });
  }
}
