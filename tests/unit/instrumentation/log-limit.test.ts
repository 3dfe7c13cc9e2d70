import { afterEach, beforeEach, describe, expect, spyOn, test } from 'bun:test';
import { LogLimit } from '../../../src/instrumentation/log-limit.ts';
import { createLogger, logDropsOf } from '../../../src/instrumentation/logger.ts';
import { inVirtualTime, pass } from '../../support/virtual-time.ts';

const INFO = 30;
const DEBUG = 20;
const ERROR = 50;
const never = () => {};

let nowMs = 0;
let clock: ReturnType<typeof spyOn<Performance, 'now'>>;
beforeEach(() => {
  nowMs = 5000;
  clock = spyOn(performance, 'now').mockImplementation(() => nowMs);
});
afterEach(() => clock.mockRestore());

const limitOf = (linesMax = 100, debugLinesMax = 1000) =>
  new LogLimit({ linesMax, debugLinesMax }, INFO, never);

describe('an error', () => {
  const failure = (message = 'relation "accounts" does not exist', code = '42P01') =>
    Object.assign(new Error(message), { code });

  test('that repeats is logged once, and at the end of the interval its last occurrence with their number', () => {
    const limit = limitOf();
    const written: [id: number, repeated: number][] = [];
    const log = (id: number) =>
      limit.admits(ERROR, 'request failed', { err: failure() }, (repeated) => written.push([id, repeated]));
    expect(log(0)).toBe(true);
    for (let id = 1; id <= 1000; id++) expect(log(id)).toBe(false);
    expect(written).toEqual([]);
    limit.endInterval();
    expect(written).toEqual([[1000, 1000]]);
    expect(limit.repeated).toBe(1000);
  });

  test('that goes on is logged once per interval, and in full again after an interval without it', () => {
    const limit = limitOf();
    const counts: number[] = [];
    const log = () =>
      limit.admits(ERROR, 'request failed', { err: failure() }, (repeated) => counts.push(repeated));
    log();
    for (let interval = 1; interval <= 3; interval++) {
      for (let i = 0; i < interval; i++) expect(log()).toBe(false);
      limit.endInterval();
    }
    expect(counts).toEqual([1, 2, 3]);
    limit.endInterval();
    expect(log()).toBe(true);
  });

  test.each([
    ['another message of the line', 'loop failed', failure(), {}],
    ['another code', 'request failed', failure(undefined, '42501'), {}],
    ['another table', 'request failed', failure('relation "events" does not exist'), {}],
    ['a cause', 'request failed', Object.assign(failure(), { cause: failure() }), {}],
    ['another route', 'request failed', failure(), { endpoint: '/other' }],
    ['another loop', 'request failed', failure(), { loop: 'relay' }],
    ['another job', 'request failed', failure(), { job: 'retention' }],
  ])('is not identical to one with %s', (_, message, err, fields) => {
    const limit = limitOf();
    limit.admits(ERROR, 'request failed', { err: failure() }, never);
    expect(limit.admits(ERROR, message, { ...fields, err }, never)).toBe(true);
  });

  test('is known by its causes, four in all, even if they form a circle', () => {
    const limit = limitOf();
    const chain = (names: string) =>
      [...names].reduceRight<Error | undefined>((cause, name) => new Error(name, { cause }), undefined);
    const log = (err: unknown) => limit.admits(ERROR, 'failed', { err }, never);
    expect(['abcd', 'abcx', 'abc', 'abcdx', 'xbcd'].map((names) => log(chain(names)))).toEqual([
      true,
      true,
      true,
      false,
      true,
    ]);
    const circle = new Error('circle');
    circle.cause = circle;
    expect([log(circle), log(circle)]).toEqual([true, false]);
  });

  test('is known by the first 200 characters of its text, whether it is an Error or not', () => {
    for (const errorOf of [(text: string) => new Error(text), (text: string) => text]) {
      const limit = limitOf();
      const log = (text: string) => limit.admits(ERROR, 'failed', { err: errorOf(text) }, never);
      const start = 'x'.repeat(199);
      expect([log(`${start}ab`), log(`${start}ac`), log(`${start}bb`), log(`y${start}`)]).toEqual([
        true,
        false,
        true,
        true,
      ]);
      expect([log('of 17'), log('of 18')]).toEqual([true, false]);
    }
  });

  test('is identical to one that differs only in numbers and IDs', () => {
    const limit = limitOf();
    const log = (message: string) => limit.admits(ERROR, 'failed', { err: new Error(message) }, never);
    expect(log('timeout 17 of 0198c0de-0000-7000-8000-000000000001')).toBe(true);
    expect(log('timeout 4711 of 0198ffff-1111-7abc-8def-00000000000a')).toBe(false);
  });

  test('is not forgotten with its count when too many different ones follow', () => {
    const limit = limitOf(10_000);
    const counts: number[] = [];
    const first = () =>
      limit.admits(ERROR, 'failed', { err: new Error('first') }, (count) => counts.push(count));
    const others = (from: number, to: number) => {
      for (let i = from; i < to; i++)
        limit.admits(ERROR, `failed ${'x'.repeat(i)}`, { err: new Error('x') }, (count) =>
          counts.push(count),
        );
    };
    first();
    first();
    others(0, 255);
    expect(counts).toEqual([]);
    others(255, 256);
    expect(counts).toEqual([1]);
    expect(first()).toBe(true);
    others(256, 600);
    expect(counts).toEqual([1]);
  });

  test('that goes on is reported every 10 s by itself, and the process may exit meanwhile', () =>
    inVirtualTime(async () => {
      const timers = spyOn(globalThis, 'setTimeout');
      let intervals = 0;
      const limit = new LogLimit({ linesMax: 10, debugLinesMax: 10 }, INFO, () => intervals++);
      const counts: number[] = [];
      const log = (text: string) =>
        limit.admits(ERROR, 'failed', { err: new Error(text) }, (count) => counts.push(count));
      for (const text of ['first', 'first', 'second', 'second', 'third']) log(text);
      expect(timers.mock.results.map(({ value }) => (value as Timer).hasRef())).toEqual([false]);
      timers.mockRestore();
      await pass(9990);
      expect([counts, intervals]).toEqual([[], 0]);
      await pass(20);
      expect([counts, intervals]).toEqual([[1, 1], 1]);
      log('second');
      await pass(10_000);
      expect([counts, intervals]).toEqual([[1, 1, 1], 2]);
      // Nothing was repeated: the errors are forgotten, and nothing is scheduled any more.
      await pass(60_000);
      expect([counts, intervals]).toEqual([[1, 1, 1], 3]);
      expect(log('third')).toBe(true);
      limit.endInterval();
      limit.endInterval();
      await pass(60_000);
      expect(intervals).toBe(5);
    }));
});

describe('the bound per second', () => {
  test('holds for all lines together, and begins again every second', () => {
    const limit = limitOf(100);
    const burst = () =>
      Array.from({ length: 300 }, () => limit.admits(INFO, 'line', null, never)).filter(Boolean).length;
    expect(burst()).toBe(100);
    expect(burst()).toBe(0);
    nowMs += 999;
    expect(burst()).toBe(0);
    nowMs += 1;
    expect(burst()).toBe(100);
    expect(limit.rate).toBe(1000);
  });

  test('of lines below info is their own: debugging takes no line from warnings', () => {
    const limit = limitOf(100, 1000);
    for (let i = 0; i < 5000; i++) limit.admits(DEBUG, 'line', null, never);
    expect(limit.rate).toBe(4000);
    expect(limit.admits(INFO, 'line', null, never)).toBe(true);
    nowMs += 1000;
    expect(limit.admits(DEBUG, 'line', null, never)).toBe(true);
  });

  test('counts what was dropped, and a line says so', () => {
    const lines: Record<string, unknown>[] = [];
    const settings = { LOG_LEVEL: 'info', LOG_FORMAT: 'json', ENVIRONMENT: 'test' } as const;
    const logger = createLogger(settings, { write: (text) => void lines.push(JSON.parse(text)) }, 5);
    const timers = spyOn(globalThis, 'setTimeout');
    const child = logger.child({ worker: 1 });
    for (let i = 0; i < 350; i++) child.info(`line ${i}`);
    expect(lines).toHaveLength(100);
    expect(logDropsOf(child)).toMatchObject({ rate: 250, output: 0, repeated: 0 });
    (timers.mock.calls[0]![0] as () => void)();
    timers.mockRestore();
    expect(lines.at(-1)).toMatchObject({
      level: 'warn',
      msg: 'log lines were dropped',
      rate: 250,
      output: 0,
    });
  });
});
