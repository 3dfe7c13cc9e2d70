import { expect, test } from 'bun:test';
import { Probe } from '../../../src/resilience/probe.ts';
import { sleep } from '../../../src/utils/sleep.ts';
import { inVirtualTime, pass } from '../../support/virtual-time.ts';

test('a probe without a response is aborted after a second', () =>
  inVirtualTime(async () => {
    let given: AbortSignal | undefined;
    const probe = new Probe('thing', (signal) => {
      given = signal;
      return new Promise(() => {});
    });
    const ping = probe.ping().catch((error) => error.name);
    await pass(980);
    expect(given!.aborted).toBe(false);
    await pass(30);
    expect(await ping).toBe('CallTimeout');
    expect(given!.aborted).toBe(true);
  }));

test('a failure is passed on, and the next ping makes a new request that measures its own latency', () =>
  inVirtualTime(async () => {
    let requests = 0;
    const probe = new Probe('thing', async () => {
      if (++requests === 1) throw new Error('connection refused');
      await sleep(70);
    });
    await expect(probe.ping()).rejects.toThrow('connection refused');
    const ping = probe.ping();
    await pass(70);
    expect(await ping).toBe(70);
    expect(requests).toBe(2);
  }));

test('a response that arrives while this process is stalled is not too late', async () => {
  // Two round trips, like a connection and a request; the second one starts when the process continues.
  const probe = new Probe('thing', () => Bun.sleep(1).then(() => Bun.sleep(1)));
  const ping = probe.ping();
  Bun.sleepSync(1200);
  expect(await ping).toBeGreaterThan(1000);
});
