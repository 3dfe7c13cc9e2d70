import { expect, test } from 'bun:test';
import { ExitReports } from '../../../src/cluster/exit-reports.ts';
import { IncarnationStub } from './incarnation-stub.ts';

function reported(reports: ExitReports): string[] {
  const reporter = new IncarnationStub();
  reports.sendTo(reporter.incarnation);
  return reporter.sent.map((message) => (message.kind === 'report-exit' ? message.workerId : message.kind));
}

test('an exit is sent again until it is confirmed', () => {
  const reports = new ExitReports();
  reports.add('a');
  reports.add('b');
  expect(reported(reports)).toEqual(['a', 'b']);
  reports.confirm('a');
  expect(reported(reports)).toEqual(['b']);
});

test('beyond 256 pending exits the oldest is dropped', () => {
  const reports = new ExitReports();
  for (let i = 0; i < 257; i++) reports.add(`worker-${i}`);
  const ids = reported(reports);
  expect(ids).toHaveLength(256);
  expect(ids[0]).toBe('worker-1');
});
