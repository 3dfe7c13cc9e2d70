import { describe, expect, test } from 'bun:test';
import type { Dependency } from '../../../src/resilience/dependency.ts';
import { sleep } from '../../../src/utils/sleep.ts';
import { ConnectionLost, endless, fails, testDependency, Unavailable } from '../../support/dependency.ts';
import { inVirtualTime, pass, settled } from '../../support/virtual-time.ts';

async function open(dependency: Dependency): Promise<void> {
  for (let call = 0; call < 5; call++) await dependency.call('get', fails).catch(() => {});
  expect(dependency.state).toBe('open');
}

describe('while the breaker is open', () => {
  test('calls fail immediately and their work is not started', () =>
    inVirtualTime(async () => {
      const { dependency, server } = testDependency();
      server.isThere = false;
      await open(dependency);
      let started = 0;
      const call = dependency.call('get', async () => ++started, { idempotent: true });
      await expect(call).rejects.toMatchObject({ name: 'Unavailable', cause: { name: 'BreakerOpen' } });
      expect(started).toBe(0);
      expect(dependency.stats()).toMatchObject({ retries: 0, outcomes: { refused_open: 1, failure: 5 } });
      dependency.close();
    }));

  test('queued calls are refused, since their wait would be pointless', () =>
    inVirtualTime(async () => {
      const { dependency } = testDependency({ concurrencyMax: 1 });
      const waiting: Promise<unknown>[] = [];
      const slow = Promise.withResolvers<never>();
      const first = dependency.call('get', () => slow.promise).catch((error) => error);
      for (let call = 0; call < 9; call++)
        waiting.push(dependency.call('get', fails).catch((error) => error));
      slow.reject(new ConnectionLost());
      await settled();
      const errors = await Promise.all([first, ...waiting]);
      // Five calls reached the dependency.
      expect(errors.map((error) => error.name)).toEqual([
        ...Array(5).fill('ConnectionLost'),
        ...Array(5).fill('Unavailable'),
      ]);
      expect(dependency.stats()).toMatchObject({ inFlight: 0, waiting: 0 });
      dependency.close();
    }));

  test('a probe is made every second, and the first success allows calls', () =>
    inVirtualTime(async () => {
      const { dependency, server } = testDependency();
      server.isThere = false;
      await open(dependency);
      await pass(5000);
      expect(dependency.state).toBe('open');
      expect(server.probes).toBeGreaterThanOrEqual(4);
      expect(server.probes).toBeLessThanOrEqual(5);
      server.isThere = true;
      await pass(1500);
      expect(dependency.state).toBe('half-open');
      expect(await dependency.call('get', async () => 1)).toBe(1);
      for (let call = 0; call < 2; call++) await dependency.call('get', async () => 1).catch(() => {});
      expect(dependency.state).toBe('closed');
      dependency.close();
    }));

  test('a probe without a response times out, and the next one is made', () =>
    inVirtualTime(async () => {
      let probes = 0;
      const { dependency } = testDependency({
        probe: (signal) => {
          probes++;
          return endless(signal);
        },
      });
      await open(dependency);
      await pass(6000);
      expect(dependency.state).toBe('open');
      expect(probes).toBeGreaterThanOrEqual(3);
      await pass(60_000);
      // The recovery time is over, so trial calls are allowed.
      for (let call = 0; call < 3; call++) await dependency.call('get', async () => 1);
      expect(dependency.state).toBe('closed');
      dependency.close();
    }));

  test('it closes without calls, and its timer stops', () =>
    inVirtualTime(async (pendingTimers) => {
      const { dependency } = testDependency();
      await open(dependency);
      await pass(6000);
      expect(dependency.state).toBe('closed');
      expect(pendingTimers('src/resilience')).toBe(0);
    }));

  test('a closed dependency makes no more probes', () =>
    inVirtualTime(async (pendingTimers) => {
      const { dependency, server } = testDependency();
      await open(dependency);
      dependency.close();
      await pass(3000);
      expect(server.probes).toBe(0);
      expect(pendingTimers('src/resilience')).toBe(0);
    }));
});

describe('a silent dependency', () => {
  const SILENCE = { silenceMs: 500, timeoutFloorMs: 30_000, timeoutMaxMs: 30_000 };

  test('is detected long before the timeout: onOpened is called first, then running calls are canceled', () =>
    inVirtualTime(async () => {
      const events: string[] = [];
      const { dependency, server } = testDependency({
        ...SILENCE,
        onOpened: (isSilent) => events.push(isSilent ? 'silent' : 'failing'),
      });
      server.isThere = false;
      const calls = Array.from({ length: 3 }, () =>
        dependency.call('get', endless).catch((error) => {
          events.push(error.name);
          return error;
        }),
      );
      await pass(2000);
      for (const error of await Promise.all(calls)) expect(error).toBeInstanceOf(Unavailable);
      expect(events).toEqual(['silent', 'Unavailable', 'Unavailable', 'Unavailable']);
      expect(dependency).toMatchObject({ state: 'open' });
      expect(dependency.stats()).toMatchObject({ inFlight: 0, outcomes: { failure: 3, timeout: 0 } });
      dependency.close();
    }));

  test('is detected for waiting calls soon after other calls fail immediately', () =>
    inVirtualTime(async () => {
      const events: string[] = [];
      const { dependency, server } = testDependency({
        ...SILENCE,
        onOpened: (isSilent) => events.push(isSilent ? 'silent' : 'failing'),
      });
      server.isThere = false;
      const stuck = dependency.call('get', endless).catch((error) => error);
      await open(dependency);
      expect(events).toEqual(['failing']);
      await pass(2000);
      expect(await stuck).toBeInstanceOf(Unavailable);
      // No call is waiting any more, so none is canceled again.
      await pass(5000);
      expect(events).toEqual(['failing', 'silent']);
      dependency.close();
    }));

  test('does not cancel calls that were running when other failures opened the breaker, if they complete soon', () =>
    inVirtualTime(async () => {
      const { dependency, server } = testDependency(SILENCE);
      server.isThere = false;
      const slow = Promise.withResolvers<number>();
      const call = dependency.call('get', () => slow.promise);
      await open(dependency);
      await pass(400);
      slow.resolve(7);
      expect(await call).toBe(7);
      dependency.close();
    }));

  test('is only slow if the probe succeeds, so nothing is canceled', () =>
    inVirtualTime(async () => {
      const { dependency, server } = testDependency({ ...SILENCE, onOpened: () => expect.unreachable() });
      const slow = Promise.withResolvers<number>();
      const call = dependency.call('get', () => slow.promise);
      await pass(10_000);
      expect(server.probes).toBeGreaterThan(5);
      slow.resolve(7);
      expect(await call).toBe(7);
      expect(dependency.state).toBe('closed');
      dependency.close();
    }));

  test('is not assumed while any call gets a response, even if probes fail', () =>
    inVirtualTime(async () => {
      const { dependency, server } = testDependency(SILENCE);
      server.isThere = false;
      const caller = new AbortController();
      const stuck = dependency.call('get', endless, { signal: caller.signal }).catch(() => 'canceled');
      for (let second = 0; second < 10; second++) {
        await pass(400);
        await dependency.call('get', async () => 1);
      }
      expect(dependency.state).toBe('closed');
      caller.abort();
      expect(await stuck).toBe('canceled');
      dependency.close();
    }));

  test('is not probed while there are no calls', () =>
    inVirtualTime(async (pendingTimers) => {
      const { dependency, server } = testDependency(SILENCE);
      server.isThere = false;
      await dependency.call('get', async () => 1);
      await pass(60_000);
      expect(server.probes).toBe(0);
      expect(pendingTimers('src/resilience')).toBe(0);
      expect(dependency.state).toBe('closed');
    }));
});

test('concurrent pings share one probe and its latency', () =>
  inVirtualTime(async () => {
    let probes = 0;
    const { dependency } = testDependency({
      probe: () => {
        probes++;
        return sleep(40);
      },
    });
    const pings = [dependency.ping(), dependency.ping(), dependency.ping()];
    await pass(40);
    expect(await Promise.all(pings)).toEqual([40, 40, 40]);
    expect(probes).toBe(1);
    const next = dependency.ping();
    await pass(40);
    expect(await next).toBe(40);
    expect(probes).toBe(2);
  }));
