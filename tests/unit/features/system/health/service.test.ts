import { describe, expect, spyOn, test } from 'bun:test';
import { AtlasError } from '../../../../../src/errors.ts';
import type { Probe } from '../../../../../src/features/system/health/domain.ts';
import {
  createHealthService,
  type DatabaseChecks,
} from '../../../../../src/features/system/health/service.ts';

const probeOf = (name: string, ping: Probe['ping'], required = true): Probe => ({
  name,
  mode: 'connected',
  required,
  ping,
});
const responds = async () => 1.23456;
const fails = async () => {
  throw new Error('password authentication failed for user "secret"');
};
const migrated = async () => true;
const checks = (
  isMigrated: DatabaseChecks['isMigrated'],
  isReadable: DatabaseChecks['isReadable'] = migrated,
): DatabaseChecks => ({ isMigrated, isReadable, requireCoreTables: async () => {}, onUnusable: () => {} });

describe('deep health', () => {
  test('lists every dependency with its latency, but not whether it is required', async () => {
    const health = createHealthService(
      [probeOf('postgresql', responds)],
      { draining: false },
      checks(migrated),
    );
    expect(await health.deep()).toEqual({
      status: 'healthy',
      dependencies: [{ name: 'postgresql', mode: 'connected', status: 'healthy', latencyMs: 1.23 }],
    });
  });

  test('reports the state of a circuit breaker after the ping', async () => {
    let state: 'closed' | 'open' = 'closed';
    const ping = async () => {
      state = 'open';
      throw new Error('unavailable');
    };
    const probe = { ...probeOf('kafka', ping, false), breaker: () => state };
    const health = createHealthService([probe], { draining: false }, checks(migrated));
    expect(await health.deep()).toMatchObject({
      status: 'degraded',
      dependencies: [{ name: 'kafka', status: 'unhealthy', breaker: 'open' }],
    });
  });

  test('reports a slow dependency as degraded', async () => {
    const slow = probeOf('postgresql', async () => 501);
    const health = createHealthService([slow], { draining: false }, checks(migrated));
    expect(await health.deep()).toMatchObject({ status: 'degraded', dependencies: [{ status: 'degraded' }] });
  });

  test('reports that a dependency is not responding, but not why', async () => {
    const probes = [probeOf('postgresql', fails), probeOf('redis', responds, false)];
    const found = await createHealthService(probes, { draining: false }, checks(migrated)).deep();
    expect(found).toMatchObject({
      status: 'unhealthy',
      dependencies: [{ name: 'postgresql', status: 'unhealthy', error: 'not responding' }, { name: 'redis' }],
    });
    expect(JSON.stringify(found)).not.toContain('secret');
  });

  test('probes all dependencies concurrently', async () => {
    let inside = 0;
    const together = Promise.withResolvers<number>();
    const meeting = async () => {
      if (++inside === 2) together.resolve(1);
      return together.promise;
    };
    const probes = [probeOf('a', meeting), probeOf('b', meeting)];
    expect((await createHealthService(probes, { draining: false }, checks(migrated)).deep()).status).toBe(
      'healthy',
    );
  });

  test('times a hanging probe out, and aborts its signal', async () => {
    const limit = new AbortController();
    const timeout = spyOn(AbortSignal, 'timeout').mockReturnValue(limit.signal);
    let given: AbortSignal | undefined;
    const hanging = probeOf('postgresql', (signal) => {
      given = signal;
      return new Promise(() => {});
    });
    const pending = createHealthService([hanging], { draining: false }, checks(migrated)).deep();
    timeout.mockRestore();
    limit.abort(new Error('too long'));
    expect(await pending).toMatchObject({ status: 'unhealthy', dependencies: [{ error: 'not responding' }] });
    expect(given).toBe(limit.signal);
  });
});

test('concurrent calls share one probe, and later calls start a new one', async () => {
  let probes = 0;
  let checked = 0;
  const counting = probeOf('postgresql', async () => ++probes);
  const health = createHealthService(
    [counting],
    { draining: false },
    checks(async () => ++checked > 0),
  );
  await Promise.all(Array.from({ length: 50 }, () => health.deep()));
  expect(probes).toBe(1);
  await Promise.all(Array.from({ length: 50 }, () => health.ready()));
  expect([probes, checked]).toEqual([2, 1]);
  await health.ready();
  expect([probes, checked]).toEqual([3, 2]);
});

describe('readiness', () => {
  test('is true if the required dependencies respond and the database is migrated', async () => {
    const probes = [probeOf('postgresql', responds), probeOf('redis', fails, false)];
    const health = createHealthService(probes, { draining: false }, checks(migrated));
    expect(await health.ready()).toEqual({ ready: true, reasons: [] });
  });

  test('is false while draining, without any probe', async () => {
    const lifecycle = { draining: false };
    let probes = 0;
    const probe = probeOf('postgresql', async () => ++probes);
    const health = createHealthService([probe], lifecycle, checks(migrated));
    lifecycle.draining = true;
    expect(await health.ready()).toEqual({ ready: false, reasons: ['draining'] });
    expect(probes).toBe(0);
  });

  test('is false if a required dependency does not respond', async () => {
    const health = createHealthService([probeOf('postgresql', fails)], { draining: false }, checks(migrated));
    expect(await health.ready()).toEqual({ ready: false, reasons: ['postgresql is not responding'] });
  });

  test('is false if checking the migrations takes too long', async () => {
    const limit = new AbortController();
    const timeout = spyOn(AbortSignal, 'timeout').mockReturnValue(limit.signal);
    const health = createHealthService(
      [],
      { draining: false },
      checks(() => new Promise(() => {})),
    );
    const pending = health.ready();
    await new Promise(setImmediate);
    timeout.mockRestore();
    limit.abort(new Error('too long'));
    expect(await pending).toMatchObject({ ready: false });
  });

  test('is false if the database is not migrated or cannot be checked, with different reasons', async () => {
    const reasonsOf = async (isMigrated: () => Promise<boolean>) =>
      createHealthService([probeOf('postgresql', responds)], { draining: false }, checks(isMigrated)).ready();
    expect(await reasonsOf(async () => false)).toEqual({
      ready: false,
      reasons: ['the database is not migrated'],
    });
    expect(await reasonsOf(fails)).toEqual({
      ready: false,
      reasons: ['cannot check whether the database is migrated'],
    });
  });

  test('is false if requests cannot read the database, and not if that cannot be checked now', async () => {
    const readyIf = (isReadable: () => Promise<boolean>) =>
      createHealthService(
        [probeOf('postgresql', responds)],
        { draining: false },
        checks(migrated, isReadable),
      ).ready();
    expect(await readyIf(async () => false)).toEqual({
      ready: false,
      reasons: ['requests cannot read the database'],
    });
    expect(await readyIf(fails)).toEqual({ ready: true, reasons: [] });
  });

  test('stays true if the database was migrated and is only too busy to check again', async () => {
    let isMigrated: () => Promise<boolean> = async () => true;
    const busy = { ...probeOf('postgresql', fails), reach: responds };
    const health = createHealthService(
      [busy],
      { draining: false },
      checks(() => isMigrated()),
    );
    expect(await health.ready()).toEqual({ ready: true, reasons: [] });
    isMigrated = fails;
    expect(await health.ready()).toEqual({ ready: true, reasons: [] });
    expect(await health.deep()).toMatchObject({ status: 'unhealthy' });
    isMigrated = async () => false;
    expect(await health.ready()).toMatchObject({ ready: false });
    isMigrated = fails;
    expect(await health.ready()).toMatchObject({ ready: false });
  });

  test('does not wait for a slow database that was fine: a load balancer would take every host out', async () => {
    let isSlow = false;
    const check = (signal: AbortSignal) =>
      isSlow ? new Promise<never>((_, reject) => signal.addEventListener('abort', reject)) : migrated();
    const slowly = {
      ...checks(check, check),
      requireCoreTables: async (signal: AbortSignal) => void (await check(signal)),
    };
    const health = createHealthService([probeOf('postgresql', responds)], { draining: false }, slowly);
    expect(await health.ready()).toEqual({ ready: true, reasons: [] });
    isSlow = true;
    const timeout = spyOn(AbortSignal, 'timeout');
    expect(await health.ready()).toEqual({ ready: true, reasons: [] });
    // One limit per check; the fourth is that of the connection itself, which responds.
    const limits = timeout.mock.calls.map(([ms]) => ms).sort((a, b) => a - b);
    timeout.mockRestore();
    expect(limits).toHaveLength(4);
    expect(limits[2]).toBeLessThan(1000);
  });

  test('is false if only an operator can make payments possible, who is notified, and the caller learns no more', async () => {
    const missing = new AtlasError('dependency_unavailable', 'Core tables are missing: accounts.', {
      remedy: 'migrate',
    });
    const seen: unknown[] = [];
    const unusable = {
      ...checks(migrated),
      requireCoreTables: () => Promise.reject(missing),
      onUnusable: (error: unknown) => void seen.push(error),
    };
    const found = await createHealthService(
      [probeOf('postgresql', responds)],
      { draining: false },
      unusable,
    ).ready();
    expect(found).toEqual({
      ready: false,
      reasons: ['the database is not set up; the log says what is missing'],
    });
    expect(seen).toEqual([missing]);
  });

  test('stays true if the tables cannot be checked now: the other checks find out why', async () => {
    const unchecked = { ...checks(migrated), requireCoreTables: fails };
    const health = createHealthService([probeOf('postgresql', responds)], { draining: false }, unchecked);
    expect(await health.ready()).toEqual({ ready: true, reasons: [] });
  });
});
