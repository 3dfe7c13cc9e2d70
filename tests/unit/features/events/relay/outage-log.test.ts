import { afterEach, beforeEach, expect, jest, spyOn, test } from 'bun:test';
import { AtlasError } from '../../../../../src/errors.ts';
import { OutageLog } from '../../../../../src/features/events/relay/outage-log.ts';
import type { Logger } from '../../../../../src/instrumentation/logger.ts';

let nowMs = 0;
const clock = () => spyOn(performance, 'now').mockImplementation(() => nowMs);
let restore: () => void;
beforeEach(() => {
  const spy = clock();
  restore = () => spy.mockRestore();
});
afterEach(() => restore());

test('an outage is logged when it starts, each minute, and with its length when it ends', () => {
  const logger = { warn: jest.fn(), info: jest.fn() };
  const log = new OutageLog(logger as unknown as Logger);
  const failAt = (ms: number) => {
    nowMs = ms;
    log.failed(new Error('no broker'));
  };
  log.succeeded();
  expect(logger.info).not.toHaveBeenCalled();
  for (const ms of [1000, 2000, 60_999]) failAt(ms);
  expect(logger.warn).toHaveBeenCalledTimes(1);
  failAt(61_000);
  expect(logger.warn).toHaveBeenCalledTimes(2);
  nowMs = 91_000;
  log.succeeded();
  log.succeeded();
  expect(logger.info.mock.calls).toEqual([[{ seconds: 90 }, 'events are being sent again']]);
  failAt(92_000);
  expect(logger.warn).toHaveBeenCalledTimes(3);
});

test('an outage that only an operator can end is logged with what to do', () => {
  const logger = { warn: jest.fn(), info: jest.fn() };
  const log = new OutageLog(logger as unknown as Logger);
  const cause = new Error('Invalid username or password');
  log.failed(
    new AtlasError('dependency_unavailable', 'Kafka cannot be used.', { cause, remedy: 'Correct it.' }),
  );
  expect(logger.warn.mock.calls[0]?.[0]).toEqual({
    cause: 'Kafka cannot be used. Invalid username or password',
    do: 'Correct it.',
  });
});
