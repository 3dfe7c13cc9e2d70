import { describe, expect, test } from 'bun:test';
import { getEventListeners } from 'node:events';
import { type SpanOptions, trace } from '@opentelemetry/api';
import { ConnectionLost, endless, fails, testDependency, Unavailable } from '../../support/dependency.ts';
import { inVirtualTime, pass, settled } from '../../support/virtual-time.ts';

/** Tracks the outcome of a call. */
function follow<T>(call: Promise<T>): {
  readonly state: 'pending' | 'resolved' | 'rejected';
  readonly value: unknown;
} {
  const outcome: { state: 'pending' | 'resolved' | 'rejected'; value: unknown } = {
    state: 'pending',
    value: undefined,
  };
  call.then(
    (value) => Object.assign(outcome, { state: 'resolved', value }),
    (error) => Object.assign(outcome, { state: 'rejected', value: error }),
  );
  return outcome;
}

describe('a call', () => {
  test('returns what the work returns, and throws what it throws', async () => {
    const { dependency } = testDependency();
    expect(await dependency.call('get', async () => 7)).toBe(7);
    const broken = new TypeError('a business error');
    await expect(dependency.call('get', () => Promise.reject(broken))).rejects.toBe(broken);
    await expect(
      dependency.call('get', () => {
        throw broken;
      }),
    ).rejects.toBe(broken);
    expect(dependency.stats()).toMatchObject({ state: 'closed', inFlight: 0 });
    expect(dependency.stats().outcomes).toMatchObject({ ok: 1, error: 2, failure: 0 });
  });

  test('is canceled at the timeout: the work is aborted, and the caller gets the unavailable error', () =>
    inVirtualTime(async () => {
      const { dependency } = testDependency();
      let abortReason: unknown;
      const call = follow(
        dependency.call('get', (signal) =>
          endless(signal).catch((reason) => {
            abortReason = reason;
            throw reason;
          }),
        ),
      );
      await pass(990);
      expect(call.state).toBe('pending');
      await pass(20);
      expect(call.value).toBeInstanceOf(Unavailable);
      expect((call.value as Error).cause).toMatchObject({ name: 'CallTimeout' });
      expect(abortReason).toMatchObject({ name: 'CallTimeout' });
      expect(dependency.stats()).toMatchObject({ inFlight: 0, outcomes: { timeout: 1 } });
    }));

  test('rejects immediately with the abort reason of its caller, without counting as a failure', async () => {
    const { dependency } = testDependency({ failureThreshold: 1 });
    const caller = new AbortController();
    const call = dependency.call('get', endless, { signal: caller.signal });
    caller.abort(new Error('the deadline'));
    await expect(call).rejects.toThrow('the deadline');
    await expect(dependency.call('get', endless, { signal: caller.signal })).rejects.toThrow('the deadline');
    expect(dependency.stats()).toMatchObject({ state: 'closed', outcomes: { aborted: 1 } });
  });

  test('is not made if its caller aborts in the same turn in which it gets a slot', async () => {
    const { dependency } = testDependency({ concurrencyMax: 1 });
    const caller = new AbortController();
    const work = Promise.withResolvers<void>();
    const first = dependency.call('get', () => work.promise);
    const second = dependency.call('get', () => expect.unreachable(), { signal: caller.signal });
    work.resolve();
    // After the second call was given the slot, and before it continues.
    void work.promise.then(() => caller.abort(new Error('the deadline')));
    await first;
    await expect(second).rejects.toThrow('the deadline');
    expect(dependency.stats()).toMatchObject({ inFlight: 0, waiting: 0 });
  });

  test('holds its slot until the work has ended, but at most 5 s longer', () =>
    inVirtualTime(async () => {
      const { dependency } = testDependency({ concurrencyMax: 1, waitingMax: 0 });
      const work = Promise.withResolvers<number>();
      const first = follow(dependency.call('get', () => work.promise));
      await pass(1010);
      expect(first.state).toBe('rejected');
      await expect(dependency.call('get', async () => 1)).rejects.toMatchObject({
        cause: { name: 'BulkheadFull' },
      });
      work.resolve(1);
      await settled();
      expect(await dependency.call('get', async () => 2)).toBe(2);

      follow(dependency.call('get', () => new Promise(() => {})));
      await pass(5900);
      expect(dependency.stats()).toMatchObject({ inFlight: 1, abandoned: 0 });
      await pass(200);
      expect(dependency.stats()).toMatchObject({ inFlight: 0, abandoned: 1 });
    }));

  test('with a short deadline ends early, without counting as a failure', () =>
    inVirtualTime(async () => {
      const { dependency } = testDependency({ failureThreshold: 1 });
      const call = follow(dependency.call('get', endless, { timeoutMs: 50 }));
      await pass(70);
      expect(call.value).toMatchObject({ cause: { name: 'CallTimeout' } });
      expect(dependency.state).toBe('closed');
    }));

  test('leaves no timer or listener, however it ends', () =>
    inVirtualTime(async (pendingTimers) => {
      const { dependency } = testDependency({ silenceMs: 500 });
      const { signal } = new AbortController();
      follow(dependency.call('get', async () => 1, { signal }));
      follow(dependency.call('get', fails, { signal, idempotent: true }));
      follow(dependency.call('get', endless, { signal }));
      await pass(5000);
      expect(getEventListeners(signal, 'abort')).toEqual([]);
      expect(pendingTimers('src/resilience')).toBe(0);
    }));
});

describe('an idempotent call', () => {
  /** Work that finds the dependency unavailable this many times. */
  const failsFirst = (times: number) => {
    const work = { calls: 0, run: async () => (++work.calls > times ? work.calls : fails()) };
    return work;
  };

  test('is retried until there is a response, up to the maximum number of attempts', () =>
    inVirtualTime(async () => {
      const { dependency } = testDependency({ failureThreshold: 100 });
      const twice = failsFirst(2);
      const good = follow(dependency.call('get', twice.run, { idempotent: true }));
      const always = failsFirst(99);
      const bad = follow(dependency.call('get', always.run, { idempotent: true }));
      await pass(700);
      expect(good).toMatchObject({ state: 'resolved', value: 3 });
      expect(bad.value).toBeInstanceOf(ConnectionLost);
      expect(always.calls).toBe(3);
      expect(dependency.stats().retries).toBe(4);
    }));

  test('is not retried after a response, and other calls never are', async () => {
    const { dependency } = testDependency();
    let calls = 0;
    const count = (error: Error) => async () => {
      calls++;
      throw error;
    };
    await expect(dependency.call('put', count(new ConnectionLost()))).rejects.toBeInstanceOf(ConnectionLost);
    await expect(
      dependency.call('get', count(new Error('no such key')), { idempotent: true }),
    ).rejects.toThrow('key');
    expect(calls).toBe(2);
  });

  test('is not retried if its time is over or its caller has gone', () =>
    inVirtualTime(async () => {
      const { dependency } = testDependency();
      const late = follow(dependency.call('get', failsFirst(99).run, { idempotent: true, timeoutMs: 0 }));
      const caller = new AbortController();
      const work = failsFirst(99);
      const gone = follow(dependency.call('get', work.run, { idempotent: true, signal: caller.signal }));
      await settled();
      expect(late.value).toBeInstanceOf(ConnectionLost);
      caller.abort(new Error('the deadline'));
      await pass(2000);
      expect(gone.state).toBe('rejected');
      expect(work.calls).toBe(1);
    }));

  test('is not retried beyond the budget: load grows by at most 1.2 in an outage', () =>
    inVirtualTime(async () => {
      const { dependency } = testDependency({ failureThreshold: 100_000, concurrencyMax: 1000 });
      let attempts = 0;
      const count = async () => {
        attempts++;
        return fails();
      };
      for (let call = 0; call < 500; call++) {
        follow(dependency.call('get', count, { idempotent: true }));
        await pass(10);
      }
      await pass(1000);
      const { retries, retriesDenied } = dependency.stats();
      expect(attempts).toBe(500 + retries);
      expect(retries).toBeLessThanOrEqual(110);
      expect(retriesDenied).toBeGreaterThan(300);
    }));
});

test('each operation has its own timeout, and those beyond 32 share one', () =>
  inVirtualTime(async () => {
    const { dependency } = testDependency({ timeoutFloorMs: 100 });
    for (let call = 0; call < 200; call++) await dependency.call('quick', async () => 1);
    const quick = follow(dependency.call('quick', endless));
    const slow = follow(dependency.call('slow', endless));
    await pass(130);
    expect([quick.state, slow.state]).toEqual(['rejected', 'pending']);
    for (let name = 0; name < 100; name++) await dependency.call(`operation ${name}`, async () => 1);
    for (let call = 0; call < 200; call++) await dependency.call('the hundredth', async () => 1);
    const shared = follow(dependency.call('another', endless));
    await pass(130);
    expect(shared.state).toBe('rejected');
  }));

test('each call is one span with a name, attributes, and an error status if it fails', async () => {
  const spans: { name: string; options: SpanOptions; ended: number; error?: unknown; status?: unknown }[] =
    [];
  const startSpan = (name: string, options: SpanOptions) => {
    const span = { name, options, ended: 0 } as (typeof spans)[0];
    spans.push(span);
    return {
      setStatus: (status: unknown) => Object.assign(span, { status }),
      setAttribute: (key: string, value: unknown) =>
        Object.assign(span, key === 'error.type' && { error: value }),
      end: () => span.ended++,
    };
  };
  trace.setGlobalTracerProvider({ getTracer: () => ({ startSpan }) } as never);
  try {
    const { dependency } = testDependency({ attributes: { 'db.system.name': 'thing' } });
    await dependency.call('get', async () => 1);
    await dependency.call('put', fails).catch(() => {});
  } finally {
    trace.disable();
  }
  expect(spans).toMatchObject([
    { name: 'thing get', ended: 1, options: { kind: 2, attributes: { 'db.system.name': 'thing' } } },
    { name: 'thing put', ended: 1, error: 'ConnectionLost', status: { code: 2 } },
  ]);
  expect(spans[0]).not.toHaveProperty('status');
});
