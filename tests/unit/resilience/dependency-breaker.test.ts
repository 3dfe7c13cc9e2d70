import { describe, expect, jest, test } from 'bun:test';
import type { Dependency } from '../../../src/resilience/dependency.ts';
import { Away, endless, fails, testDependency, Unavailable } from '../../support/dependency.ts';
import { inVirtualTime, pass, settled } from '../../support/virtual-time.ts';

async function open(dependency: Dependency): Promise<void> {
  for (let call = 0; call < 5; call++) await dependency.call('get', fails).catch(() => {});
  expect(dependency.state).toBe('open');
}

describe('while the breaker is open', () => {
  test('nobody gets through, callers hear it at once, and their work is not begun', () =>
    inVirtualTime(async () => {
      const { dependency, server } = testDependency();
      server.isThere = false;
      await open(dependency);
      let begun = 0;
      const call = dependency.call('get', async () => ++begun, { idempotent: true });
      await expect(call).rejects.toMatchObject({ name: 'Unavailable', cause: { name: 'BreakerOpen' } });
      expect(begun).toBe(0);
      expect(dependency.stats()).toMatchObject({ retries: 0, outcomes: { refused_open: 1, failure: 5 } });
      dependency.close();
    }));

  test('whoever waited in line is sent away, so that nobody waits for what will not come', () =>
    inVirtualTime(async () => {
      const { dependency } = testDependency({ concurrencyMax: 1 });
      const waiting: Promise<unknown>[] = [];
      const slow = Promise.withResolvers<never>();
      const first = dependency.call('get', () => slow.promise).catch((error) => error);
      for (let call = 0; call < 9; call++)
        waiting.push(dependency.call('get', fails).catch((error) => error));
      slow.reject(new Away());
      await settled();
      const told = await Promise.all([first, ...waiting]);
      // Five found out for themselves.
      expect(told.map((error) => error.name)).toEqual([
        ...Array(5).fill('Away'),
        ...Array(5).fill('Unavailable'),
      ]);
      expect(dependency.stats()).toMatchObject({ inFlight: 0, waiting: 0 });
      dependency.close();
    }));

  test('a probe is made each second, and the first that succeeds lets calls through', () =>
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

  test('a probe that never answers is given up, and the next one is made', () =>
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
      // The recovery time is over: whether calls get through is for calls to find out.
      for (let call = 0; call < 3; call++) await dependency.call('get', async () => 1);
      expect(dependency.state).toBe('closed');
      dependency.close();
    }));

  test('it closes though nobody calls, and its timer ends', () =>
    inVirtualTime(async () => {
      const timers = jest.getTimerCount();
      const { dependency } = testDependency();
      await open(dependency);
      await pass(6000);
      expect(dependency.state).toBe('closed');
      expect(jest.getTimerCount()).toBe(timers);
    }));

  test('after it was closed for good, it asks nothing any more', () =>
    inVirtualTime(async () => {
      const timers = jest.getTimerCount();
      const { dependency, server } = testDependency();
      await open(dependency);
      dependency.close();
      await pass(3000);
      expect(server.probes).toBe(0);
      expect(jest.getTimerCount()).toBe(timers);
    }));
});

describe('a dependency that falls silent', () => {
  const SILENCE = { silenceMs: 500, timeoutFloorMs: 30_000, timeoutMaxMs: 30_000 };

  test('is found out long before the timeout: what runs is given up, and what it ran on is told first', () =>
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

  test('to some while others fail at once: those that wait are given up soon too', () =>
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
      // Nobody waits any more, so nobody is given up again.
      await pass(5000);
      expect(events).toEqual(['failing', 'silent']);
      dependency.close();
    }));

  test('to some, and answers others that had begun before its breaker opened: they are left to their end', () =>
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

  test('is left alone when the probe is answered: it is only slow', () =>
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

  test('is left alone while it answers anybody, whatever the probe finds', () =>
    inVirtualTime(async () => {
      const { dependency, server } = testDependency(SILENCE);
      server.isThere = false;
      const patience = new AbortController();
      const stuck = dependency.call('get', endless, { signal: patience.signal }).catch(() => 'given up');
      for (let second = 0; second < 10; second++) {
        await pass(400);
        await dependency.call('get', async () => 1);
      }
      expect(dependency.state).toBe('closed');
      patience.abort();
      expect(await stuck).toBe('given up');
      dependency.close();
    }));

  test('is not doubted while nobody asks anything of it', () =>
    inVirtualTime(async () => {
      const timers = jest.getTimerCount();
      const { dependency, server } = testDependency(SILENCE);
      server.isThere = false;
      await dependency.call('get', async () => 1);
      await pass(60_000);
      expect(server.probes).toBe(0);
      expect(jest.getTimerCount()).toBe(timers);
      expect(dependency.state).toBe('closed');
    }));
});

test('health asks one question at a time, however many want to know', async () => {
  let asked = 0;
  const answer = Promise.withResolvers<void>();
  const { dependency } = testDependency({
    probe: () => {
      asked++;
      return answer.promise;
    },
  });
  const pings = [dependency.ping(), dependency.ping(), dependency.ping()];
  answer.resolve();
  for (const latencyMs of await Promise.all(pings)) expect(latencyMs).toBeGreaterThanOrEqual(0);
  expect(asked).toBe(1);
  await dependency.ping();
  expect(asked).toBe(2);
});
