import { afterEach, beforeEach, expect, jest, test } from 'bun:test';
import type { App } from '../../../src/app.ts';
import { WorkerJobs } from '../../../src/cluster/worker-jobs.ts';
import type { Config } from '../../../src/config.ts';

const MINUTE_MS = 60_000;

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

/** The jobs of a worker, with how often each has run. */
function makeJobs() {
  const runs: Record<string, number> = {};
  const job = (name: string, by: 'one' | 'each', everyMs: number) => {
    const run = async () => {
      runs[name] = (runs[name] ?? 0) + 1;
    };
    return { name, by, everyMs, run };
  };
  const jobs = [
    job('hourly', 'one', 60 * MINUTE_MS),
    job('often', 'one', 1000),
    job('own', 'each', 30 * MINUTE_MS),
  ];
  const app = { jobs, loops: [] as App['loops'] } as App;
  return { runs, jobs: new WorkerJobs(app, {} as Config, () => {}) };
}

test('an hourly job of the host also runs when no worker has the jobs for an hour', () => {
  for (let takeover = 1; takeover <= 3; takeover++) {
    const { runs, jobs } = makeJobs();
    jobs.assignHostJobs(true);
    jest.advanceTimersByTime(10 * MINUTE_MS);
    jobs.assignHostJobs(false);
    expect({ hourly: runs.hourly, own: runs.own }).toEqual({ hourly: 1, own: undefined });
    expect(runs.often).toBe(600);
  }
});

test('a worker without the jobs of the host runs only its own', () => {
  const { runs, jobs } = makeJobs();
  jobs.assignHostJobs(true);
  jobs.assignHostJobs(false);
  jest.advanceTimersByTime(60 * MINUTE_MS);
  expect(runs).toEqual({ own: 2 });
});
