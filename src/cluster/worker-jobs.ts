import type { App } from '../app.ts';
import type { Config } from '../config.ts';
import type { ReportFailure } from '../instrumentation/background-log.ts';
import { BackgroundLoops } from '../resilience/background-loops.ts';

// An hourly job must run even if no worker has the jobs of the host for an hour.
const FIRST_RUN_MS_MAX = 60_000;

type Job = App['jobs'][number];

/** The background work of a worker: jobs that every worker runs, and jobs and loops that one worker per host runs. */
export class WorkerJobs {
  readonly #jobs: App['jobs'];
  readonly #loops: BackgroundLoops;
  readonly #report: ReportFailure;
  readonly #running = new Set<Job>();
  #runsHostJobs = false;
  #firstRuns: Timer | undefined;

  constructor(app: App, config: Config, report: ReportFailure) {
    this.#jobs = app.jobs;
    this.#loops = new BackgroundLoops(app.loops, config, (loop, err) =>
      report(err, 'background loop failed; restarting it', { loop }),
    );
    this.#report = report;
    for (const job of app.jobs) {
      setInterval(() => {
        if (job.by === 'each' || this.#runsHostJobs) this.#run(job);
      }, job.everyMs);
    }
  }

  /** Starts or stops the jobs and loops of the host. */
  assignHostJobs(run: boolean): void {
    this.#runsHostJobs = run;
    clearTimeout(this.#firstRuns);
    if (run) this.#firstRuns = setTimeout(() => this.#runRare(), FIRST_RUN_MS_MAX);
    if (run) this.#loops.start();
    else void this.#loops.stop();
  }

  /** Starts a job, unless it is still running: those that fall behind must not become more and more. */
  #run(job: Job): void {
    if (this.#running.has(job)) return;
    this.#running.add(job);
    void job
      .run()
      .catch((err: unknown) => this.#report(err, 'background job failed', { job: job.name }))
      .finally(() => this.#running.delete(job));
  }

  /** Runs the jobs of the host whose first turn would come late. */
  #runRare(): void {
    for (const job of this.#jobs) if (job.by === 'one' && job.everyMs > FIRST_RUN_MS_MAX) this.#run(job);
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
