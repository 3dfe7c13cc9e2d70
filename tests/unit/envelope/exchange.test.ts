import { describe, expect, test } from 'bun:test';
import { clientAddress } from '../../../src/envelope/client-address.ts';
import { AbortReason, Exchange } from '../../../src/envelope/exchange.ts';
import { exchangeOf, routeOf } from '../../support/exchange.ts';

describe('the signal of an exchange', () => {
  test('is the same on every access', () => {
    const { exchange } = exchangeOf();
    expect(exchange.signal).toBe(exchange.signal);
    expect(exchange.signal.aborted).toBe(false);
  });

  test('aborts with the reason, whether it was read before or after', () => {
    const reason = new AbortReason('deadline');
    const before = exchangeOf().exchange;
    const { signal } = before;
    before.abort(reason);
    expect(signal.reason).toBe(reason);
    const after = exchangeOf().exchange;
    after.abort(reason);
    expect(after.signal.reason).toBe(reason);
  });

  test('aborts when the caller disconnects', () => {
    const caller = new AbortController();
    const { exchange } = exchangeOf({ signal: caller.signal });
    const { signal } = exchange;
    expect(signal.aborted).toBe(false);
    caller.abort();
    expect(signal.reason).toMatchObject({ kind: 'disconnect' });
  });

  test('is aborted from the start if the caller disconnected before the first access', () => {
    const caller = new AbortController();
    caller.abort();
    expect(exchangeOf({ signal: caller.signal }).exchange.signal.reason).toMatchObject({
      kind: 'disconnect',
    });
  });

  test('keeps its first reason', () => {
    const { exchange } = exchangeOf();
    exchange.abort(new AbortReason('deadline'));
    exchange.abort(new AbortReason('disconnect'));
    expect(exchange.signal.reason).toMatchObject({ kind: 'deadline', name: 'AbortError' });
  });
});

describe('the deadline of an exchange', () => {
  test('is the timeout of the route if the caller sends none or a longer one', () => {
    for (const headers of [{}, { 'grpc-timeout': '1H' }]) {
      const { exchange } = exchangeOf({ headers }, { timeoutMs: 500 });
      expect(exchange.deadlineMs).toBe(exchange.startMs + 500);
    }
  });

  test('is the timeout of the caller if that is shorter', () => {
    const { exchange } = exchangeOf({ headers: { 'grpc-timeout': '20m' } }, { timeoutMs: 500 });
    expect(exchange.deadlineMs).toBe(exchange.startMs + 20);
    expect(exchange.deadlineMs).toBe(exchange.startMs + 20);
  });
});

describe('the traceparent of an exchange', () => {
  const wellFormed = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

  test('is the header of the caller if well formed', () => {
    expect(exchangeOf({ headers: { traceparent: wellFormed } }).exchange.traceparent).toBe(wellFormed);
  });

  test.each([
    ['an unknown version', `01${wellFormed.slice(2)}`],
    ['an all-zero trace id', `00-${'0'.repeat(32)}-b7ad6b7169203331-01`],
    ['an all-zero parent id', `00-0af7651916cd43dd8448eb211c80319c-${'0'.repeat(16)}-01`],
    ['capital letters', wellFormed.toUpperCase()],
    ['a fifth field', `${wellFormed}-more`],
    ['nothing', ''],
  ])('is ignored with %s', (_, traceparent) => {
    expect(exchangeOf({ headers: { traceparent } }).exchange.traceparent).toBe('');
  });

  test('is empty if none was sent', () => {
    expect(exchangeOf().exchange.traceparent).toBe('');
  });
});

describe('the listener of an exchange', () => {
  test('is called once, with the reason', () => {
    const { exchange } = exchangeOf();
    const reasons: (AbortReason | null)[] = [];
    exchange.onAbort = () => void reasons.push(exchange.abortReason);
    const reason = new AbortReason('deadline');
    exchange.abort(reason);
    exchange.abort(new AbortReason('disconnect'));
    expect(reasons).toEqual([reason]);
  });

  test('is called immediately if the exchange was already aborted', () => {
    const { exchange } = exchangeOf();
    exchange.abort(new AbortReason('deadline'));
    let kind = '';
    exchange.onAbort = () => {
      kind = exchange.abortReason!.kind;
    };
    expect(kind).toBe('deadline');
  });

  test('is not called after it was removed', () => {
    const { exchange } = exchangeOf();
    let called = false;
    exchange.onAbort = () => {
      called = true;
    };
    exchange.onAbort = null;
    exchange.abort(new AbortReason('deadline'));
    expect(called).toBe(false);
  });
});

describe('the client address of an exchange', () => {
  test('is found on first use, and once', () => {
    let reads = 0;
    const connection = {
      timeout: () => {},
      requestIP: () => {
        reads++;
        return { address: '10.0.0.1', port: 4711 };
      },
    };
    const request = new Request('http://atlas.test/', { headers: { 'X-Forwarded-For': '203.0.113.9' } });
    const addressOf = clientAddress(['10.0.0.1']);
    const exchange = new Exchange(request, routeOf(), 0, connection, addressOf);
    expect(reads).toBe(0);
    expect([exchange.clientAddress, exchange.clientAddress]).toEqual(['203.0.113.9', '203.0.113.9']);
    expect(reads).toBe(1);
    expect(exchange.peer).toEqual({ address: '10.0.0.1', port: 4711 });
  });

  test('is empty without a connection, or once it has ended', () => {
    expect(exchangeOf().exchange.clientAddress).toBe('');
    const ended = { timeout: () => {}, requestIP: () => null };
    expect(exchangeOf({}, {}, ended).exchange.clientAddress).toBe('');
    expect(exchangeOf({}, {}, ended).exchange.peer).toBe(null);
  });
});
