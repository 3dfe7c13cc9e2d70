import { describe, expect, spyOn, test } from 'bun:test';
import { createLogger, logDropsOf } from '../../../src/instrumentation/logger.ts';
import { RefusalLog } from '../../../src/instrumentation/refusal-log.ts';
import { exchangeOf } from '../../support/exchange.ts';
import { principalOf } from '../../support/principal.ts';

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
    atMs?: number;
  }) => {
    const { problem, status = 429, resource = null, owner = null, atMs = 0 } = of;
    const { request, exchange } = exchangeOf({}, { resource });
    Object.assign(exchange, { requestId: `r${++id}`, problem, startMs: atMs });
    if (owner !== null) exchange.principal = principalOf(owner, { keyId: `key-of-${owner}` });
    log.log(exchange, status, 0, request);
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

  test('of one owner leave half of the lines to others', () => {
    const { lines, refuse } = setUp();
    times(1000, () => refuse({ problem: 'overloaded', owner: 'loud' }));
    times(3, () => refuse({ problem: 'overloaded', owner: 'quiet' }));
    expect(lines.filter(({ owner }) => owner === 'loud')).toHaveLength(10);
    expect(lines.filter(({ owner }) => owner === 'quiet')).toHaveLength(3);
  });
});

describe('payments and failures', () => {
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

  test('share the bounds of the host among its processes', () => {
    const { lines, refuse } = setUp(4);
    times(3000, () => refuse({ problem: 'overloaded', ...PAYMENT }));
    expect(lines).toHaveLength(500);
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
