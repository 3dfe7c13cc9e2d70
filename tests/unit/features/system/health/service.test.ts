import { describe, expect, spyOn, test } from 'bun:test';
import type { Probe } from '../../../../../src/features/system/health/domain.ts';
import { createHealthService } from '../../../../../src/features/system/health/service.ts';

const probeOf = (name: string, ping: Probe['ping'], required = true): Probe => ({
  name,
  mode: 'connected',
  required,
  ping,
});
const answers = async () => 1.23456;
const fails = async () => {
  throw new Error('password authentication failed for user "secret"');
};
const migrated = async () => true;

describe('deep health', () => {
  test('tells every dependency with its latency, and not how much it matters', async () => {
    const health = createHealthService([probeOf('postgresql', answers)], { draining: false }, migrated);
    expect(await health.deep()).toEqual({
      status: 'healthy',
      dependencies: [{ name: 'postgresql', mode: 'connected', status: 'healthy', latencyMs: 1.23 }],
    });
  });

  test('tells the circuit breaker of one that has one, as it is after the question', async () => {
    let state: 'closed' | 'open' = 'closed';
    const ping = async () => {
      state = 'open';
      throw new Error('away');
    };
    const probe = { ...probeOf('kafka', ping, false), breaker: () => state };
    const health = createHealthService([probe], { draining: false }, migrated);
    expect(await health.deep()).toMatchObject({
      status: 'degraded',
      dependencies: [{ name: 'kafka', status: 'unhealthy', breaker: 'open' }],
    });
  });

  test('calls a slow one degraded', async () => {
    const slow = probeOf('postgresql', async () => 501);
    const health = createHealthService([slow], { draining: false }, migrated);
    expect(await health.deep()).toMatchObject({ status: 'degraded', dependencies: [{ status: 'degraded' }] });
  });

  test('says that one does not answer, and never why', async () => {
    const probes = [probeOf('postgresql', fails), probeOf('redis', answers, false)];
    const found = await createHealthService(probes, { draining: false }, migrated).deep();
    expect(found).toMatchObject({
      status: 'unhealthy',
      dependencies: [{ name: 'postgresql', status: 'unhealthy', error: 'not responding' }, { name: 'redis' }],
    });
    expect(JSON.stringify(found)).not.toContain('secret');
  });

  test('asks all at once', async () => {
    let inside = 0;
    const together = Promise.withResolvers<number>();
    const meeting = async () => {
      if (++inside === 2) together.resolve(1);
      return together.promise;
    };
    const probes = [probeOf('a', meeting), probeOf('b', meeting)];
    expect((await createHealthService(probes, { draining: false }, migrated).deep()).status).toBe('healthy');
  });

  test('gives up a probe that falls silent, and hands it the signal to end too', async () => {
    const limit = new AbortController();
    const timeout = spyOn(AbortSignal, 'timeout').mockReturnValue(limit.signal);
    let given: AbortSignal | undefined;
    const silent = probeOf('postgresql', (signal) => {
      given = signal;
      return new Promise(() => {});
    });
    const asked = createHealthService([silent], { draining: false }, migrated).deep();
    timeout.mockRestore();
    limit.abort(new Error('too long'));
    expect(await asked).toMatchObject({ status: 'unhealthy', dependencies: [{ error: 'not responding' }] });
    expect(given).toBe(limit.signal);
  });
});

test('however many ask at a time, nothing is asked more than once for them, and anew for whoever comes later', async () => {
  let asked = 0;
  let looked = 0;
  const counting = probeOf('postgresql', async () => ++asked);
  const health = createHealthService([counting], { draining: false }, async () => ++looked > 0);
  await Promise.all(Array.from({ length: 50 }, () => health.deep()));
  expect(asked).toBe(1);
  await Promise.all(Array.from({ length: 50 }, () => health.ready()));
  expect([asked, looked]).toEqual([2, 1]);
  await health.ready();
  expect([asked, looked]).toEqual([3, 2]);
});

describe('readiness', () => {
  test('is there when the required ones answer and the database is migrated', async () => {
    const probes = [probeOf('postgresql', answers), probeOf('redis', fails, false)];
    const health = createHealthService(probes, { draining: false }, migrated);
    expect(await health.ready()).toEqual({ ready: true, reasons: [] });
  });

  test('is gone while draining, and nothing is asked then', async () => {
    const lifecycle = { draining: false };
    let asked = 0;
    const probe = probeOf('postgresql', async () => ++asked);
    const health = createHealthService([probe], lifecycle, migrated);
    lifecycle.draining = true;
    expect(await health.ready()).toEqual({ ready: false, reasons: ['draining'] });
    expect(asked).toBe(0);
  });

  test('is gone when a required one does not answer', async () => {
    const health = createHealthService([probeOf('postgresql', fails)], { draining: false }, migrated);
    expect(await health.ready()).toEqual({ ready: false, reasons: ['postgresql is not responding'] });
  });

  test('is gone when asking whether the database is migrated takes too long', async () => {
    const limit = new AbortController();
    const timeout = spyOn(AbortSignal, 'timeout').mockReturnValue(limit.signal);
    const health = createHealthService([], { draining: false }, () => new Promise(() => {}));
    const asked = health.ready();
    await new Promise(setImmediate);
    timeout.mockRestore();
    limit.abort(new Error('too long'));
    expect(await asked).toMatchObject({ ready: false });
  });

  test('is gone when the database is not migrated, and when nobody can tell, which is something else', async () => {
    const reasonsOf = async (isMigrated: () => Promise<boolean>) =>
      createHealthService([probeOf('postgresql', answers)], { draining: false }, isMigrated).ready();
    expect(await reasonsOf(async () => false)).toEqual({
      ready: false,
      reasons: ['the database is not migrated'],
    });
    expect(await reasonsOf(fails)).toEqual({
      ready: false,
      reasons: ['cannot check whether the database is migrated'],
    });
  });

  test('stays when the database is there and has too much to do to say again that it is migrated', async () => {
    let isMigrated: () => Promise<boolean> = migrated;
    const busy = { ...probeOf('postgresql', fails), reach: answers };
    const health = createHealthService([busy], { draining: false }, () => isMigrated());
    expect(await health.ready()).toEqual({ ready: true, reasons: [] });
    isMigrated = fails;
    expect(await health.ready()).toEqual({ ready: true, reasons: [] });
    expect(await health.deep()).toMatchObject({ status: 'unhealthy' });
    isMigrated = async () => false;
    expect(await health.ready()).toMatchObject({ ready: false });
    isMigrated = fails;
    expect(await health.ready()).toMatchObject({ ready: false });
  });
});
