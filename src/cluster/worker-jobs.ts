import type { App } from '../app.ts';
import type { Config } from '../config.ts';
import type { Logger } from '../instrumentation/logger.ts';
import { BackgroundLoops } from '../resilience/background-loops.ts';

/** The background work of a worker: jobs that every worker runs, and jobs and loops that one worker per host runs. */
export class WorkerJobs {
  readonly #jobs: App['jobs'];
  readonly #loops: BackgroundLoops;
  #runsHostJobs = false;

  constructor(app: App, config: Config, logger: Logger) {
    this.#jobs = app.jobs;
    this.#loops = new BackgroundLoops(app.loops, config, (loop, err) =>
      logger.warn({ err, loop }, 'background loop failed; restarting it'),
    );
    for (const { name, by, everyMs, run } of app.jobs) {
      setInterval(() => {
        if (by === 'each' || this.#runsHostJobs)
          void run().catch((err: unknown) => logger.warn({ err, job: name }, 'background job failed'));
      }, everyMs);
    }
  }

  /** Starts or stops the jobs and loops of the host. */
  assignHostJobs(run: boolean): void {
    this.#runsHostJobs = run;
    if (run) this.#loops.start();
    else void this.#loops.stop();
  }

  /** Stops the loops of the host. Resolves when they have stopped. */
  stopLoops(): Promise<void> {
    return this.#loops.stop();
  }

  /** Runs the jobs of every worker once more, to save what is only in memory. Resolves when all are done. */
  async flush(): Promise<void> {
    await Promise.allSettled(this.#jobs.flatMap(({ by, run }) => (by === 'each' ? run() : [])));
  }
}
