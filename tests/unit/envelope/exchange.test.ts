import { describe, expect, test } from 'bun:test';
import { AbortReason } from '../../../src/envelope/exchange.ts';
import { exchangeOf } from '../../support/exchange.ts';

describe('the signal of an exchange', () => {
  test('is one signal, however often it is asked for', () => {
    const { exchange } = exchangeOf();
    expect(exchange.signal).toBe(exchange.signal);
    expect(exchange.signal.aborted).toBe(false);
  });

  test('aborts with the reason, for those who asked before and after', () => {
    const reason = new AbortReason('deadline');
    const before = exchangeOf().exchange;
    const { signal } = before;
    before.abort(reason);
    expect(signal.reason).toBe(reason);
    const after = exchangeOf().exchange;
    after.abort(reason);
    expect(after.signal.reason).toBe(reason);
  });

  test('aborts when the caller goes away', () => {
    const caller = new AbortController();
    const { exchange } = exchangeOf({ signal: caller.signal });
    const { signal } = exchange;
    expect(signal.aborted).toBe(false);
    caller.abort();
    expect(signal.reason).toMatchObject({ kind: 'disconnect' });
  });

  test('is aborted from the start when the caller had gone before anybody asked', () => {
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
  test('is the cap of the route where the caller says nothing or more', () => {
    for (const headers of [{}, { 'grpc-timeout': '1H' }]) {
      const { exchange } = exchangeOf({ headers }, { timeoutMs: 500 });
      expect(exchange.deadlineMs).toBe(exchange.startMs + 500);
    }
  });

  test('is what the caller says where that is less', () => {
    const { exchange } = exchangeOf({ headers: { 'grpc-timeout': '20m' } }, { timeoutMs: 500 });
    expect(exchange.deadlineMs).toBe(exchange.startMs + 20);
    expect(exchange.deadlineMs).toBe(exchange.startMs + 20);
  });
});

describe('the traceparent of an exchange', () => {
  const wellFormed = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

  test('is the one of the caller when it is well formed', () => {
    expect(exchangeOf({ headers: { traceparent: wellFormed } }).exchange.traceparent).toBe(wellFormed);
  });

  test.each([
    ['an unknown version', `01${wellFormed.slice(2)}`],
    ['an all-zero trace id', `00-${'0'.repeat(32)}-b7ad6b7169203331-01`],
    ['an all-zero parent id', `00-0af7651916cd43dd8448eb211c80319c-${'0'.repeat(16)}-01`],
    ['capital letters', wellFormed.toUpperCase()],
    ['a fifth field', `${wellFormed}-more`],
    ['nothing', ''],
  ])('is dropped with %s', (_, traceparent) => {
    expect(exchangeOf({ headers: { traceparent } }).exchange.traceparent).toBe('');
  });

  test('is empty where none was sent', () => {
    expect(exchangeOf().exchange.traceparent).toBe('');
  });
});

describe('the listener of an exchange', () => {
  test('is called once, with the reason', () => {
    const { exchange } = exchangeOf();
    const heard: (AbortReason | null)[] = [];
    exchange.onAbort = () => void heard.push(exchange.abortReason);
    const reason = new AbortReason('deadline');
    exchange.abort(reason);
    exchange.abort(new AbortReason('disconnect'));
    expect(heard).toEqual([reason]);
  });

  test('is called at once when the exchange was given up already', () => {
    const { exchange } = exchangeOf();
    exchange.abort(new AbortReason('deadline'));
    let kind = '';
    exchange.onAbort = () => {
      kind = exchange.abortReason!.kind;
    };
    expect(kind).toBe('deadline');
  });

  test('is not called after it was taken away', () => {
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
