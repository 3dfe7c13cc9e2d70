import { describe, expect, spyOn, test } from 'bun:test';
import { createLogger, logDropsOf } from '../../../src/instrumentation/logger.ts';
import { RefusalLog } from '../../../src/instrumentation/refusal-log.ts';
import { exchangeOf } from '../../support/exchange.ts';
import { principalOf } from '../../support/principal.ts';
import { inVirtualTime, pass } from '../../support/virtual-time.ts';

function setUp(processes = 1) {
  const lines: Record<string, unknown>[] = [];
  const settings = { LOG_LEVEL: 'info', LOG_FORMAT: 'json', ENVIRONMENT: 'test' } as const;
  const logger = createLogger(settings, { write: (text) => void lines.push(JSON.parse(text)) });
  const log = new RefusalLog(logger, () => ({ keyId: 'unverified' }), processes);
  let id = 0;
  const refuse = (of: {
    problem: string;
    status?: number;
    resource?: string;
    owner?: string | null;
    from?: string;
    atMs?: number;
    tookMs?: number;
    headers?: Record<string, string>;
    refusedItems?: Record<string, number>;
  }) => {
    const { problem, status = 429, resource = null, owner = null, from = '', atMs = 0, tookMs = 0 } = of;
    const connection = { timeout: () => {}, requestIP: () => ({ address: from, port: 1 }) };
    const init = { headers: of.headers ?? {} };
    const { request, exchange } = exchangeOf(init, { resource }, from === '' ? null : connection);
    Object.assign(exchange, { requestId: `r${++id}`, problem, startMs: atMs });
    exchange.refusedItems = of.refusedItems ?? null;
    if (owner !== null) exchange.principal = principalOf(owner, { keyId: `key-of-${owner}` });
    log.log(exchange, status, tookMs, request);
  };
  return { lines, log, logger, refuse };
}

const PAYMENT = { resource: 'ledger' } as const;
const times = (count: number, run: () => void) => {
  for (let i = 0; i < count; i++) run();
};

describe('refusals', () => {
  test('have the request ID, the owner and the code', () => {
    const { lines, refuse } = setUp();
    refuse({ problem: 'insufficient_funds', status: 422, owner: 'acme', ...PAYMENT });
    refuse({ problem: 'overloaded' });
    expect(lines).toMatchObject([
      { requestId: 'r1', owner: 'acme', keyId: 'key-of-acme', code: 'insufficient_funds', status: 422 },
      { requestId: 'r2', keyId: 'unverified', code: 'overloaded', status: 429 },
    ]);
    expect(lines[1]).not.toHaveProperty('owner');
  });

  test('have the route, the duration, and the trace and the refused items if there are any', () => {
    const { lines, refuse } = setUp();
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    refuse({ problem: 'overloaded', tookMs: 1.23456, headers: { traceparent } });
    refuse({ problem: '', status: 200, refusedItems: { insufficient_funds: 2 } });
    refuse({ problem: '', status: 418 });
    const shared = { level: 'info', keyId: 'unverified', method: 'GET', endpoint: '/things' };
    expect(lines.map(({ time, ...line }) => line)).toEqual([
      {
        ...shared,
        requestId: 'r1',
        traceparent,
        status: 429,
        code: 'overloaded',
        durationMs: 1.23,
        msg: 'request refused',
      },
      {
        ...shared,
        requestId: 'r2',
        status: 200,
        code: 'items_refused',
        refusedItems: { insufficient_funds: 2 },
        durationMs: 0,
        msg: 'request refused',
      },
      { ...shared, requestId: 'r3', status: 418, code: '418', durationMs: 0, msg: 'request refused' },
    ]);
  });

  test('are failures from status 500 on', () => {
    const { lines, refuse } = setUp();
    for (const status of [499, 500, 503]) refuse({ problem: 'x', status });
    expect(lines.map(({ msg }) => msg)).toEqual(['request refused', 'request failed', 'request failed']);
  });

  test('are sampled by code, so that a flood of one does not hide the others', () => {
    const { lines, refuse } = setUp();
    times(1000, () => refuse({ problem: 'overloaded' }));
    refuse({ problem: 'account_not_found', status: 404 });
    expect(lines).toHaveLength(21);
    expect(lines.at(-1)).toMatchObject({ code: 'account_not_found' });
  });

  test('are bounded together, however many codes there are', () => {
    const { lines, refuse } = setUp();
    for (let code = 0; code < 50; code++) times(20, () => refuse({ problem: `code_${code}` }));
    expect(lines).toHaveLength(200);
  });

  test('begin again every second', () => {
    const { lines, refuse } = setUp();
    for (const atMs of [0, 500, 1000, 1500, 2000]) times(100, () => refuse({ problem: 'overloaded', atMs }));
    expect(lines).toHaveLength(3 * 20);
  });

  test('begin again every second for all codes and owners together, counted from when they ended', () => {
    const { lines, refuse } = setUp();
    const flood = (owner: string, atMs: number, tookMs = 0) => {
      for (let code = 0; code < 50; code++)
        times(20, () => refuse({ problem: `code_${code}`, owner, atMs, tookMs }));
    };
    for (const second of [0, 1]) {
      flood('first', second * 1000);
      flood('second', second * 1000);
      expect(lines).toHaveLength(200 * (second + 1));
    }
    flood('first', 1900, 200);
    expect(lines).toHaveLength(500);
  });

  test('of one owner leave half of the lines to others', () => {
    const { lines, refuse } = setUp();
    times(1000, () => refuse({ problem: 'overloaded', owner: 'loud' }));
    times(3, () => refuse({ problem: 'overloaded', owner: 'quiet' }));
    const linesOf = (name: string) => lines.filter(({ owner }) => owner === name);
    expect(linesOf('loud')).toHaveLength(10);
    expect(linesOf('quiet')).toHaveLength(3);
    // With many codes too.
    for (let code = 0; code < 50; code++) times(10, () => refuse({ problem: `code_${code}`, owner: 'loud' }));
    expect(linesOf('loud')).toHaveLength(100);
    times(5, () => refuse({ problem: 'account_not_found', owner: 'quiet' }));
    expect(linesOf('quiet')).toHaveLength(8);
  });
});

describe('refusals without a key', () => {
  const REFUSED = { problem: 'unauthenticated', status: 401 } as const;

  test('have the address of the client', () => {
    const { lines, refuse } = setUp();
    refuse({ ...REFUSED, from: '203.0.113.9' });
    refuse({ ...REFUSED });
    expect(lines[0]).toMatchObject({ code: 'unauthenticated', clientAddress: '203.0.113.9' });
    expect(lines[1]).not.toHaveProperty('clientAddress');
  });

  test('of one address leave half of the lines to others', () => {
    const { lines, refuse } = setUp();
    times(1000, () => refuse({ ...REFUSED, from: '203.0.113.9' }));
    times(3, () => refuse({ ...REFUSED, from: '2001:db8::1' }));
    expect(lines.filter(({ clientAddress }) => clientAddress === '203.0.113.9')).toHaveLength(10);
    expect(lines.filter(({ clientAddress }) => clientAddress === '2001:db8::1')).toHaveLength(3);
  });
});

describe('payments and failures', () => {
  test('of one address without a key are each found', () => {
    const { lines, refuse } = setUp();
    times(1500, () => refuse({ problem: 'overloaded', from: '203.0.113.9', ...PAYMENT }));
    expect(lines).toHaveLength(1500);
  });

  test('are each found by their request ID, while requests of other kinds are refused', () => {
    const { lines, refuse } = setUp();
    times(30_000, () => refuse({ problem: 'overloaded' }));
    times(900, () => refuse({ problem: 'insufficient_funds', status: 422, owner: 'acme', ...PAYMENT }));
    times(500, () => refuse({ problem: 'internal', status: 500, owner: 'acme' }));
    times(500, () => refuse({ problem: 'dependency_unavailable', status: 503 }));
    const ids = new Set(lines.map(({ requestId }) => requestId));
    for (let i = 30_001; i <= 31_900; i++) expect(ids.has(`r${i}`)).toBe(true);
  });

  test('are bounded under an overload, and every one without a line is counted', () => {
    const { lines, log, logger, refuse } = setUp();
    times(30_000, () => refuse({ problem: 'overloaded', ...PAYMENT }));
    times(30_000, () => refuse({ problem: 'overloaded' }));
    expect(lines).toHaveLength(2000 + 20);
    expect(logDropsOf(logger).sampled).toBe(60_000 - 2020);
    log.summarize();
    expect(lines.at(-1)).toMatchObject({
      msg: 'more requests were refused or failed than are logged one by one',
      unlogged: { 'payment overloaded': 28_000, overloaded: 29_980 },
    });
    log.summarize();
    expect(lines).toHaveLength(2021);
  });

  test('of one owner leave half of the lines to others', () => {
    const { lines, log, refuse } = setUp();
    times(3000, () => refuse({ problem: 'overloaded', owner: 'loud', ...PAYMENT }));
    times(1500, () => refuse({ problem: 'internal', status: 500, owner: 'loud' }));
    expect(lines).toHaveLength(1000 + 500);
    times(900, () => refuse({ problem: 'overloaded', owner: 'quiet', ...PAYMENT }));
    times(900, () => refuse({ problem: 'internal', status: 500 }));
    expect(lines).toHaveLength(1500 + 900 + 500);
    log.summarize();
    expect(lines.at(-1)).toMatchObject({ unlogged: { 'payment overloaded': 2000, internal: 1000 + 400 } });
  });

  test('without a line are counted in one 10 s later, and the process may exit meanwhile', () =>
    inVirtualTime(async () => {
      const timers = spyOn(globalThis, 'setTimeout');
      const { lines, log, refuse } = setUp();
      times(25, () => refuse({ problem: 'overloaded' }));
      expect(timers.mock.results.map(({ value }) => (value as Timer).hasRef())).toEqual([false]);
      timers.mockRestore();
      await pass(9990);
      expect(lines).toHaveLength(20);
      await pass(20);
      expect(lines.at(-1)).toMatchObject({ unlogged: { overloaded: 5 } });
      refuse({ problem: 'overloaded' });
      log.summarize();
      expect(lines.at(-1)).toMatchObject({ unlogged: { overloaded: 1 } });
      refuse({ problem: 'overloaded' });
      await pass(10_010);
      expect(lines).toHaveLength(23);
    }));

  test('share the bounds of the host among its processes', () => {
    const { lines, refuse } = setUp(4);
    times(3000, () => refuse({ problem: 'overloaded', ...PAYMENT }));
    expect(lines).toHaveLength(500);
  });

  test('of a code have a few lines, among however many processes', () => {
    const { lines, refuse } = setUp(20);
    times(30, () => refuse({ problem: 'overloaded' }));
    expect(lines).toHaveLength(5);
  });

  test('without a line cost no line: nothing is read from them', () => {
    const { lines, refuse } = setUp();
    times(20, () => refuse({ problem: 'overloaded' }));
    const stringify = spyOn(JSON, 'stringify');
    times(1000, () => refuse({ problem: 'overloaded' }));
    expect(stringify).not.toHaveBeenCalled();
    stringify.mockRestore();
    expect(lines).toHaveLength(20);
  });
});
