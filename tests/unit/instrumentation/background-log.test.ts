import { afterEach, beforeEach, expect, spyOn, test } from 'bun:test';
import { AtlasError } from '../../../src/errors.ts';
import { backgroundLog } from '../../../src/instrumentation/background-log.ts';
import { DependencyOutages } from '../../../src/instrumentation/dependency-outages.ts';
import { createLogger } from '../../../src/instrumentation/logger.ts';

let nowMs = 0;
let clock: ReturnType<typeof spyOn<Performance, 'now'>>;
beforeEach(() => {
  nowMs = 5000;
  clock = spyOn(performance, 'now').mockImplementation(() => nowMs);
});
afterEach(() => clock.mockRestore());

function setUp() {
  const lines: Record<string, unknown>[] = [];
  const settings = { LOG_LEVEL: 'info', LOG_FORMAT: 'json', ENVIRONMENT: 'test' } as const;
  const logger = createLogger(settings, { write: (text) => void lines.push(JSON.parse(text)) });
  const outages = new DependencyOutages(logger, []);
  return { lines, outages, report: backgroundLog(logger, outages) };
}

const unavailable = () =>
  new AtlasError('dependency_unavailable', 'PostgreSQL cannot be reached.', {
    cause: new Error('ECONNREFUSED'),
  });

test('background work that fails in an outage has one line without a stack, then a summary, whatever it is', () => {
  const { lines, outages, report } = setUp();
  for (let second = 0; second < 10; second++) {
    for (let i = 0; i < 20; i++) report(unavailable(), `loop ${i} failed`, { loop: `loop ${i}` });
    nowMs += 1000;
    outages.check();
  }
  expect(lines.map(({ level, msg, requests, background }) => [level, msg, requests, background])).toEqual([
    ['warn', 'PostgreSQL cannot be reached.', undefined, undefined],
    ['warn', 'still: PostgreSQL cannot be reached.', 0, 199],
  ]);
  expect(JSON.stringify(lines)).not.toContain('stack');
});

test('requests and background work that fail in the same outage are counted apart', () => {
  const { lines, outages, report } = setUp();
  outages.failed(unavailable());
  for (let i = 0; i < 3; i++) report(unavailable(), 'background job failed');
  outages.failed(unavailable());
  nowMs += 10_000;
  outages.check();
  expect(lines.at(-1)).toMatchObject({
    msg: 'over: PostgreSQL cannot be reached.',
    requests: 2,
    background: 3,
  });
});

test('background work that fails for another reason has a line with the error and what it was', () => {
  const { lines, report } = setUp();
  report(new TypeError('a bug'), 'background job failed', { job: 'settle files' });
  expect(lines).toMatchObject([
    { level: 'warn', msg: 'background job failed', job: 'settle files', err: { message: 'a bug' } },
  ]);
});
