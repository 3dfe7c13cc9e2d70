import { afterEach, beforeEach, describe, expect, spyOn, test } from 'bun:test';
import { createLogger } from '../../../src/instrumentation/logger.ts';
import { errorLog, requestLog } from '../../../src/instrumentation/request-log.ts';
import { exchangeOf } from '../../support/exchange.ts';

function loggerOf(LOG_LEVEL: 'debug' | 'info') {
  const lines: Record<string, unknown>[] = [];
  const settings = { LOG_LEVEL, LOG_FORMAT: 'json', ENVIRONMENT: 'test' } as const;
  return { logger: createLogger(settings, { write: (text) => void lines.push(JSON.parse(text)) }), lines };
}

function exchange(headers: Record<string, string> = {}) {
  const { exchange: made } = exchangeOf({ headers }, { pattern: '/v1/accounts/{id}' });
  made.requestId = 'r1';
  return made;
}

describe('the log of requests', () => {
  test('is off above level debug, so that requests pay nothing', () => {
    expect(requestLog(loggerOf('info').logger)).toBeNull();
  });

  test('has a line per response, with the pattern and never the path', () => {
    const { logger, lines } = loggerOf('debug');
    requestLog(logger)!(exchange(), 201, 12.5);
    expect(lines).toMatchObject([
      {
        msg: 'request',
        requestId: 'r1',
        method: 'GET',
        endpoint: '/v1/accounts/{id}',
        status: 201,
        durationMs: 12.5,
      },
    ]);
    expect(lines[0]).not.toHaveProperty('traceparent');
  });

  test('includes the trace if there is one', () => {
    const { logger, lines } = loggerOf('debug');
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    requestLog(logger)!(exchange({ traceparent }), 200, 1);
    expect(lines[0]).toHaveProperty('traceparent', traceparent);
  });
});

describe('the log of errors', () => {
  let nowMs = 0;
  let clock: ReturnType<typeof spyOn<Performance, 'now'>>;
  beforeEach(() => {
    nowMs = 5000;
    clock = spyOn(performance, 'now').mockImplementation(() => nowMs);
  });
  afterEach(() => clock.mockRestore());

  test('has every unexpected error in full, with the ID of its request', () => {
    const { logger, lines } = loggerOf('info');
    const log = errorLog(logger);
    for (const message of ['first', 'second']) log.unexpected(new Error(message), exchange());
    expect(lines).toMatchObject([
      { level: 'error', requestId: 'r1', endpoint: '/v1/accounts/{id}', err: { message: 'first' } },
      { level: 'error', requestId: 'r1', err: { message: 'second' } },
    ]);
    expect(lines[0]!.err).toHaveProperty('stack');
  });

  test('reports an unavailable dependency once per second, however many requests fail', () => {
    const { logger, lines } = loggerOf('info');
    const log = errorLog(logger);
    const unavailable = new Error('PostgreSQL cannot be reached.', { cause: new Error('ECONNREFUSED') });
    for (let i = 0; i < 100; i++) log.unavailable(unavailable as never);
    nowMs += 1000;
    log.unavailable(unavailable as never);
    expect(lines).toMatchObject([
      { level: 'warn', msg: 'PostgreSQL cannot be reached.', cause: 'ECONNREFUSED', leftOut: 0 },
      { leftOut: 99 },
    ]);
  });
});
