import { expect, test } from 'bun:test';
import { HostJobs } from '../../../src/cluster/host-jobs.ts';
import { IncarnationStub } from './incarnation-stub.ts';

const started = { kind: 'jobs', run: true } as const;
const stopped = { kind: 'jobs', run: false } as const;
const committerOf = (socket: string) => ({ socket, version: '1' });
const joins = (socket: string) => ({ kind: 'committer', committer: committerOf(socket) }) as const;

function hostOf(count: number) {
  const workers = Array.from({ length: count }, () => new IncarnationStub());
  return { workers, jobs: new HostJobs(() => workers.map(({ incarnation }) => incarnation)) };
}

test('the jobs of the host move from one worker to the next, and stop without one', () => {
  const { workers, jobs } = hostOf(2);
  const [first, second] = workers as [IncarnationStub, IncarnationStub];
  jobs.assign(first.incarnation);
  jobs.assign(first.incarnation);
  jobs.assign(second.incarnation);
  jobs.assign(null);
  expect(first.sent).toEqual([started, stopped]);
  expect(second.sent).toEqual([started, stopped]);
});

test('the others send their payments to the worker with the jobs, once it listens', () => {
  const { workers, jobs } = hostOf(3);
  const [first, second, third] = workers as [IncarnationStub, IncarnationStub, IncarnationStub];
  jobs.assign(first.incarnation);
  jobs.introduce(third.incarnation);
  jobs.announce(committerOf('a'), first.incarnation);
  expect(first.sent).toEqual([started]);
  expect(second.sent).toEqual([joins('a')]);
  expect(third.sent).toEqual([joins('a')]);
  // A worker that starts later.
  jobs.introduce(second.incarnation);
  expect(second.sent).toEqual([joins('a'), joins('a')]);
});

test('the former worker with the jobs joins the next one, and its late announcement is ignored', () => {
  const { workers, jobs } = hostOf(2);
  const [first, second] = workers as [IncarnationStub, IncarnationStub];
  jobs.assign(first.incarnation);
  jobs.assign(second.incarnation);
  jobs.announce(committerOf('a'), first.incarnation);
  jobs.announce(committerOf('b'), second.incarnation);
  expect(first.sent).toEqual([started, stopped, joins('b')]);
  expect(second.sent).toEqual([started]);
});
