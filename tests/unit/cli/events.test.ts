import { expect, test } from 'bun:test';
import { isOverdue, statusText } from '../../../src/cli/events.ts';

const quiet = {
  unsent: 0,
  oldestAgeSeconds: null,
  holder: 'host:12',
  epoch: 3,
  lastPosition: 42,
  parkedKeys: 0,
  parkedEvents: 0,
  storedSeconds: 86_400 * 12.5,
  oldestUnreadBy: null,
  retentionDays: 90,
  consumers: [],
  lags: [],
  deferred: [],
};

test('idle event delivery is shown without a table', () => {
  expect(statusText(quiet).split('\n')).toEqual([
    'backlog      empty',
    'sent         42 events',
    'stored       the oldest is 12 days old; they expire after 90 days',
    'parked       no keys',
    'relay        host:12, epoch 3',
    'consumers    none yet',
  ]);
});

test('the backlog, parked keys, and lag are shown with what to do', () => {
  const text = statusText({
    ...quiet,
    unsent: 1200,
    oldestAgeSeconds: 300,
    holder: null,
    parkedKeys: 2,
    parkedEvents: 9,
    lags: [
      { consumer: 'webhooks', lag: 17 },
      { consumer: 'other', lag: null },
    ],
    deferred: [{ consumer: 'webhooks', owners: 2, events: 1203, oldestAgeSeconds: 185 }],
  });
  expect(text).toContain('1200 rows, the oldest waiting for 5 min');
  expect(text).toContain('2 keys with 9 events; list them with: npm run -s atlas -- events parked');
  expect(text).toMatch(/^relay +not running$/m);
  expect(text).toMatch(/^webhooks +17 +1203 events of 2 owners, for up to 3 min$/m);
  expect(text).toMatch(/^other +Kafka is unavailable +none$/m);
});

test.each([
  [
    'an old event that a consumer has not read',
    { storedSeconds: 86_400 * 92, oldestUnreadBy: 'webhooks' },
    true,
  ],
  ['an old event of a log without consumers', { storedSeconds: 86_400 * 92, consumers: [] }, true],
  ['an old event that was read: the last one stays', { storedSeconds: 86_400 * 92 }, false],
  ['a young event', { storedSeconds: 86_400, oldestUnreadBy: 'webhooks' }, false],
  ['an empty log', { storedSeconds: null }, false],
])('%s is overdue: %#', (_, facts, overdue) => {
  const consumers = [{ consumer: 'webhooks', partition: -1, position: 42 }];
  const status = { ...quiet, consumers, ...facts };
  expect(isOverdue(status)).toBe(overdue);
  expect(statusText(status).includes('instead of 90')).toBe(overdue);
});
