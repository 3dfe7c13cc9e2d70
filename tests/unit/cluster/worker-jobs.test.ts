import { afterEach, beforeEach, expect, jest, test } from 'bun:test';
import type { App } from '../../../src/app.ts';
import { WorkerJobs } from '../../../src/cluster/worker-jobs.ts';
import type { Config } from '../../../src/config.ts';

const MINUTE_MS = 60_000;
const SECOND_MS = 1000;

/** Lets the time pass in steps, in which jobs end. */
async function pass(ms: number): Promise<void> {
  for (let step = 0; step < ms; step += SECOND_MS) {
    jest.advanceTimersByTime(SECOND_MS);
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  }
}

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

/** The jobs of a worker, with how often each has run. `long` ends when `ending` resolves. */
function makeJobs() {
  const runs: Record<string, number> = {};
  const ending = Promise.withResolvers<void>();
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
    {
      name: 'long',
      by: 'one' as const,
      everyMs: 1000,
      run: () => {
        runs.long = (runs.long ?? 0) + 1;
        return ending.promise;
      },
    },
  ];
  const app = { jobs, loops: [] as App['loops'] } as App;
  return { runs, ending, jobs: new WorkerJobs(app, {} as Config, () => {}) };
}

test('an hourly job of the host also runs when no worker has the jobs for an hour', async () => {
  for (let takeover = 1; takeover <= 3; takeover++) {
    const { runs, jobs } = makeJobs();
    jobs.assignHostJobs(true);
    await pass(10 * MINUTE_MS);
    jobs.assignHostJobs(false);
    expect({ hourly: runs.hourly, own: runs.own }).toEqual({ hourly: 1, own: undefined });
    expect(runs.often).toBe(600);
  }
});

test('a worker without the jobs of the host runs only its own', async () => {
  const { runs, jobs } = makeJobs();
  jobs.assignHostJobs(true);
  jobs.assignHostJobs(false);
  await pass(60 * MINUTE_MS);
  expect(runs).toEqual({ own: 2 });
});

test.each(['ends', 'fails'])(
  'a job that takes longer than its interval runs once at a time, also if it %s',
  async (how) => {
    const { runs, ending, jobs } = makeJobs();
    jobs.assignHostJobs(true);
    await pass(MINUTE_MS);
    expect(runs).toMatchObject({ long: 1, often: 60 });
    if (how === 'ends') ending.resolve();
    else ending.reject(new Error('lost'));
    await pass(2 * SECOND_MS);
    expect(runs.long).toBe(3);
  },
);
