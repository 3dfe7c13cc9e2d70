import { expect, test } from 'bun:test';
import { statusText } from '../../../src/cli/events.ts';

const quiet = {
  unsent: 0,
  oldestAgeSeconds: null,
  holder: 'host:12',
  epoch: 3,
  lastPosition: 42,
  parkedKeys: 0,
  parkedEvents: 0,
  consumers: [],
  lags: [],
};

test('quiet events are told in four lines', () => {
  expect(statusText(quiet).split('\n')).toEqual([
    'to be sent   nothing',
    'sent         42 events',
    'parked       no key',
    'relay        host:12, epoch 3',
    'consumers    none so far',
  ]);
});

test('what waits, what stopped and what lags are told with what to do', () => {
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
  });
  expect(text).toContain('1200 rows, the oldest for 5 min');
  expect(text).toContain('2 keys with 9 events: see atlas events parked');
  expect(text).toContain('none works now');
  expect(text).toMatch(/^webhooks +17$/m);
  expect(text).toMatch(/^other +Kafka does not answer$/m);
});
