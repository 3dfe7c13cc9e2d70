import { beforeEach, expect, test } from 'bun:test';
import { RefusalMonitor } from '../../../src/cluster/refusal-monitor.ts';
import { WorkerLog } from '../../../src/cluster/worker-log.ts';
import { createLogger } from '../../../src/instrumentation/logger.ts';

let lines: string[];
let log: WorkerLog;
beforeEach(() => {
  lines = [];
  const logger = createLogger(
    { LOG_LEVEL: 'info', LOG_FORMAT: 'json', ENVIRONMENT: 'test' },
    { write: (line) => void lines.push(line) },
  );
  log = new WorkerLog(logger, new RefusalMonitor());
});

test('the loss of Redis is logged once, and so is its return', () => {
  for (const mode of ['fresh', 'stale', 'floor', 'floor', 'joining', 'floor', 'fresh', 'fresh'])
    log.update(mode, []);
  expect(lines).toEqual([
    expect.stringContaining('Redis is unavailable'),
    expect.stringContaining('Redis is available again'),
  ]);
});

test('a worker that starts without Redis logs the loss, and one that starts with Redis logs nothing', () => {
  log.update('joining', []);
  log.update('fresh', []);
  expect(lines).toEqual([]);
  log.update('floor', []);
  expect(lines).toEqual([expect.stringContaining('Redis is unavailable')]);
});

test('refused requests are logged with their reasons', () => {
  log.update('static', [{ decision: 'permits', count: 3 }]);
  expect(lines).toEqual([expect.stringContaining('"refused":{"permits":3}')]);
});
