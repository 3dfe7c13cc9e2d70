import { describe, expect, test } from 'bun:test';
import type { MatchedRoute } from '../../../src/envelope/exchange.ts';
import { AtlasError } from '../../../src/errors.ts';
import { DependencyOutages } from '../../../src/instrumentation/dependency-outages.ts';
import { createLogger, type Logger } from '../../../src/instrumentation/logger.ts';
import { errorLog, requestLog } from '../../../src/instrumentation/request-log.ts';
import { exchangeOf } from '../../support/exchange.ts';

function loggerOf(LOG_LEVEL: 'debug' | 'info' | 'warn') {
  const lines: Record<string, unknown>[] = [];
  const settings = { LOG_LEVEL, LOG_FORMAT: 'json', ENVIRONMENT: 'test' } as const;
  return { logger: createLogger(settings, { write: (text) => void lines.push(JSON.parse(text)) }), lines };
}

const nobody = () => ({});

function exchange(headers: Record<string, string> = {}, problem = '', route: Partial<MatchedRoute> = {}) {
  const made = exchangeOf({ headers }, { pattern: '/v1/accounts/{id}', ...route });
  made.exchange.requestId = 'r1';
  made.exchange.problem = problem;
  return made;
}

/** Logs the response of one request. */
function logOne(
  logger: Logger,
  { request, exchange: made }: ReturnType<typeof exchange>,
  status: number,
  ms: number,
) {
  requestLog(logger, nobody, 1)!(made, status, ms, request);
}

describe('the log of requests', () => {
  test('is off above level info, so that requests pay nothing', () => {
    expect(requestLog(loggerOf('warn').logger, nobody, 1)).toBeNull();
  });

  test('has no line for a response that succeeded at level info', () => {
    const { logger, lines } = loggerOf('info');
    logOne(logger, exchange(), 200, 1);
    logOne(logger, exchange(), 304, 1);
    expect(lines).toEqual([]);
  });

  test('has a line per response at level debug, with the pattern and never the path', () => {
    const { logger, lines } = loggerOf('debug');
    logOne(logger, exchange(), 201, 12.5);
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
    logOne(logger, exchange({ traceparent }), 200, 1);
    logOne(logger, exchange({ traceparent }), 404, 1);
    expect(lines.map((line) => [line.msg, line.traceparent])).toEqual([
      ['request', traceparent],
      ['request', traceparent],
      ['request refused', traceparent],
    ]);
  });

  test('has a line at level info for each refusal and failure, with the code of the problem', () => {
    const { logger, lines } = loggerOf('info');
    logOne(logger, exchange({}, 'account_not_found'), 404, 1.23456);
    logOne(logger, exchange({}, 'internal'), 500, 2);
    logOne(logger, exchange(), 503, 3);
    expect(lines).toMatchObject([
      {
        level: 'info',
        msg: 'request refused',
        requestId: 'r1',
        status: 404,
        code: 'account_not_found',
        durationMs: 1.23,
      },
      { level: 'info', msg: 'request failed', requestId: 'r1', status: 500, code: 'internal' },
      { level: 'info', msg: 'request failed', requestId: 'r1', status: 503, code: '503' },
    ]);
  });

  test('has a line for a batch with refused items, although its status is 200', () => {
    const { logger, lines } = loggerOf('info');
    const batch = exchange();
    batch.exchange.refusedItems = { insufficient_funds: 3 };
    logOne(logger, batch, 200, 1);
    expect(lines).toMatchObject([
      { msg: 'request refused', status: 200, refusedItems: { insufficient_funds: 3 } },
    ]);
  });
});

describe('the log of errors', () => {
  test('has every unexpected error in full, with the ID of its request', () => {
    const { logger, lines } = loggerOf('info');
    const log = errorLog(logger, new DependencyOutages(logger, []));
    for (const message of ['first', 'second']) log.unexpected(new Error(message), exchange().exchange);
    expect(lines).toMatchObject([
      { level: 'error', requestId: 'r1', endpoint: '/v1/accounts/{id}', err: { message: 'first' } },
      { level: 'error', requestId: 'r1', err: { message: 'second' } },
    ]);
    expect(lines[0]!.err).toHaveProperty('stack');
  });

  test('has one line for an unavailable dependency, however many requests fail', () => {
    const { logger, lines } = loggerOf('info');
    const log = errorLog(logger, new DependencyOutages(logger, []));
    const cause = new Error('ECONNREFUSED');
    for (let i = 0; i < 100; i++)
      log.unavailable(new AtlasError('dependency_unavailable', 'PostgreSQL cannot be reached.', { cause }));
    expect(lines).toMatchObject([
      { level: 'warn', msg: 'PostgreSQL cannot be reached.', cause: 'ECONNREFUSED' },
    ]);
  });
});
