import { expect, test } from 'bun:test';
import { Probe } from '../../../src/resilience/probe.ts';
import { inVirtualTime, pass } from '../../support/virtual-time.ts';

test('a probe without an answer is given up after a second, and told to end', () =>
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

test('why it failed is passed on, and the next one is asked anew', async () => {
  let asked = 0;
  const probe = new Probe('thing', async () => {
    if (++asked === 1) throw new Error('connection refused');
  });
  await expect(probe.ping()).rejects.toThrow('connection refused');
  expect(await probe.ping()).toBeGreaterThanOrEqual(0);
});

test('an answer that comes while this process stands still is not too late', async () => {
  // Two round trips, as of a connection and a question; the second one begins when the process goes on.
  const probe = new Probe('thing', () => Bun.sleep(1).then(() => Bun.sleep(1)));
  const ping = probe.ping();
  Bun.sleepSync(1200);
  expect(await ping).toBeGreaterThan(1000);
});
