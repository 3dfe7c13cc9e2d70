import { afterEach, beforeEach, expect, jest, spyOn, test } from 'bun:test';
import { AtlasError } from '../../../src/errors.ts';
import { DependencyOutages } from '../../../src/instrumentation/dependency-outages.ts';
import { createLogger } from '../../../src/instrumentation/logger.ts';
import { BreakerOpen, type BreakerState } from '../../../src/resilience/circuit-breaker.ts';
import { inVirtualTime, pass } from '../../support/virtual-time.ts';

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
  const breaker = { name: 'postgresql', state: 'closed' as BreakerState };
  const other = { name: 'kafka', state: 'closed' as BreakerState };
  const outages = new DependencyOutages(logger, [breaker, other]);
  const fail = (cause: Error, message = 'PostgreSQL cannot be reached.', remedy?: string) =>
    outages.failed(new AtlasError('dependency_unavailable', message, { cause, ...(remedy && { remedy }) }));
  return { lines, breaker, other, outages, fail };
}

test('an outage has a line when it begins, a summary at intervals, and a line when it is over', () => {
  const { lines, outages, fail } = setUp();
  for (let second = 0; second < 21; second++) {
    for (let i = 0; i < 100; i++) fail(new Error('ECONNREFUSED'));
    nowMs += 1000;
    outages.check();
  }
  for (let second = 0; second < 30; second++) {
    nowMs += 1000;
    outages.check();
  }
  expect(lines.map(({ cause }) => cause)).toEqual(Array(4).fill('ECONNREFUSED'));
  expect(lines.at(-1)).toMatchObject({ quietSeconds: 5 });
  expect(lines.map(({ level, msg, requests, seconds }) => [level, msg, requests, seconds])).toEqual([
    ['warn', 'PostgreSQL cannot be reached.', undefined, undefined],
    ['warn', 'still: PostgreSQL cannot be reached.', 999, 10],
    ['warn', 'still: PostgreSQL cannot be reached.', 1000, 20],
    ['info', 'over: PostgreSQL cannot be reached.', 2100, 20],
  ]);
});

test('an outage is one, whether the server does not respond or its breaker is open', () => {
  const { lines, fail } = setUp();
  fail(new Error('ECONNREFUSED'));
  fail(new BreakerOpen('postgresql'));
  fail(new Error('ECONNRESET'));
  expect(lines).toHaveLength(1);
});

test('an outage without traffic is not over before its breaker is closed', () => {
  const { lines, breaker, outages, fail } = setUp();
  breaker.state = 'open';
  fail(new Error('ECONNREFUSED'));
  fail(new BreakerOpen('postgresql'));
  nowMs += 60_000;
  outages.check();
  expect(lines.map(({ msg }) => msg)).not.toContain('over: PostgreSQL cannot be reached.');
  breaker.state = 'closed';
  outages.check();
  expect(lines.at(-1)).toMatchObject({ msg: 'over: PostgreSQL cannot be reached.', requests: 2 });
});

test('an outage is over 5 s after its last failure, whatever the breakers of others', () => {
  const { lines, other, outages, fail } = setUp();
  other.state = 'open';
  fail(new Error('ECONNREFUSED'));
  fail(new BreakerOpen('postgresql'));
  for (const [ms, count] of [
    [4999, 1],
    [1, 2],
  ] as const) {
    nowMs += ms;
    outages.check();
    expect(lines).toHaveLength(count);
  }
  expect(lines.at(-1)).toMatchObject({
    msg: 'over: PostgreSQL cannot be reached.',
    seconds: 0,
    quietSeconds: 5,
  });
});

test('the cause that is logged is the last that the server gave, and not that its breaker is open', () => {
  const { lines, outages, fail } = setUp();
  fail(new Error('ECONNREFUSED'));
  fail(new Error('ECONNRESET'));
  fail(new BreakerOpen('postgresql'));
  nowMs += 10_000;
  fail(new BreakerOpen('postgresql'));
  outages.check();
  expect(lines.map(({ cause }) => cause)).toEqual(['ECONNREFUSED', 'ECONNRESET']);
  outages.failed(new AtlasError('dependency_unavailable', 'without a cause'));
  expect(lines.at(-1)).toMatchObject({ msg: 'without a cause' });
});

test('outages are checked every second while there are any, and the process may exit meanwhile', () =>
  inVirtualTime(async () => {
    clock.mockRestore();
    const timers = spyOn(globalThis, 'setInterval');
    const { lines, fail } = setUp();
    for (let round = 1; round <= 2; round++) {
      fail(new Error('ECONNREFUSED'), 'first');
      fail(new Error('ECONNREFUSED'), 'second');
      expect(timers).toHaveBeenCalledTimes(round);
      expect((timers.mock.results.at(-1)!.value as Timer).hasRef()).toBe(false);
      await pass(2000);
      fail(new Error('ECONNREFUSED'), 'second');
      await pass(3010);
      expect(lines.at(-1)).toMatchObject({ msg: 'over: first' });
      await pass(2000);
      expect(lines.at(-1)).toMatchObject({ msg: 'over: second' });
      expect(lines).toHaveLength(round * 4);
      expect(jest.getTimerCount()).toBe(0);
    }
    timers.mockRestore();
  }));

test('what an operator must fix has a line for each cause, with what to do', () => {
  const { lines, fail } = setUp();
  const detail = 'PostgreSQL is not set up for this request.';
  for (let i = 0; i < 10; i++)
    for (const table of ['accounts', 'events'])
      fail(new Error(`relation "${table}" does not exist`), detail, 'migrate');
  expect(lines).toMatchObject([
    { msg: detail, cause: 'relation "accounts" does not exist', do: 'migrate' },
    { msg: detail, cause: 'relation "events" does not exist', do: 'migrate' },
  ]);
  expect(lines).toHaveLength(2);
});

test('the number of outages that are distinguished is bounded', () => {
  const { lines, fail } = setUp();
  for (let i = 0; i < 1000; i++) fail(new Error('x'), `unavailable ${i}`);
  expect(lines).toHaveLength(32);
});
