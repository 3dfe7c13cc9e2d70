import { expect, test } from 'bun:test';
import { statusText } from '../../../src/cli/status.ts';
import { clusterStatus } from '../../support/cluster-status.ts';

/** Returns the cell under a heading, by position, as cells may contain spaces. */
function cell(text: string, slot: number, column: string): string {
  const [head, ...rows] = text.split('\n').slice(2);
  const end = head!.indexOf(column) + column.length;
  return rows[slot]!.slice(0, end).split(/ {2,}/).at(-1)!.trim();
}

test('without Redis, requests in flight are shown out of the cap of this host', () => {
  const text = statusText(clusterStatus([{ inFlight: 3 }, { inFlight: 4 }], { cap: 20 }));
  expect(text.split('\n')[0]).toEndWith(', 7 of 20 in flight');
});

test('with Redis, the cluster cap is the smallest known to any worker', () => {
  const workers = [
    { inFlight: 3, mode: 'fresh', cap: 20 },
    { inFlight: 4, mode: 'floor', cap: 12 },
  ];
  const [heading] = statusText(clusterStatus(workers, { cap: 20 })).split('\n');
  expect(heading).toEndWith(', 7 in flight on this host, cluster cap 12');
});

test('refusals are shown for each worker', () => {
  const text = statusText(clusterStatus([{ refusedPerSecond: 0 }, { refusedPerSecond: 4321 }]));
  expect(cell(text, 0, 'refused/s')).toBe('0');
  expect(cell(text, 1, 'refused/s')).toBe('4321');
});

test('a worker without a heartbeat for a second is shown as silent, whatever its state', () => {
  const text = statusText(clusterStatus([{ heartbeatAgeSeconds: 1 }, { heartbeatAgeSeconds: 3.7 }]));
  expect(text).toMatch(/^ +0 +100 +ready /m);
  expect(text).toMatch(/^ +1 +101 +silent 3 s /m);
});

test('a worker that computes without a heartbeat is shown as busy', () => {
  const text = statusText(clusterStatus([{ heartbeatAgeSeconds: 7.2, busy: true }]));
  expect(text).toMatch(/^ +0 +100 +busy 7 s /m);
});

test('only breakers that are not closed are shown, below the table', () => {
  const open = statusText(clusterStatus([{}, { breakers: { kafka: 'open', s3: 'half-open' } }]));
  expect(open.split('\n').at(-1)).toBe('Circuit breakers in slot 1: kafka open, s3 half-open');
  expect(open).not.toContain('slot 0:');
  expect(statusText(clusterStatus([{}, {}]))).not.toContain('breaker');
});
