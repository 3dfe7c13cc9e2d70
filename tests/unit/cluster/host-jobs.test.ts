import { expect, test } from 'bun:test';
import { HostJobs } from '../../../src/cluster/host-jobs.ts';
import { IncarnationStub } from './incarnation-stub.ts';

test('the jobs of the host move from one worker to the next, and stop without one', () => {
  const jobs = new HostJobs();
  const [first, second] = [new IncarnationStub(), new IncarnationStub()];
  jobs.assign(first.incarnation);
  jobs.assign(first.incarnation);
  jobs.assign(second.incarnation);
  jobs.assign(null);
  const started = { kind: 'jobs', run: true } as const;
  const stopped = { kind: 'jobs', run: false } as const;
  expect(first.sent).toEqual([started, stopped]);
  expect(second.sent).toEqual([started, stopped]);
});
