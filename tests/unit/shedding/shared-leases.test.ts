import { expect, test } from 'bun:test';
import type { LeaseStore } from '../../../src/shedding/lease-protocol.ts';
import { SharedLeases } from '../../../src/shedding/shared-leases.ts';
import { inVirtualTime, pass, settled } from '../../support/virtual-time.ts';

const GRANT_OF_40 = [1, 40, 2, 0, 4, 1, 4, 100, 100, 0, 0, 0, 0];

/** A store without a Redis. A null reply is one that never arrives. */
class ScriptedStore implements LeaseStore {
  reply: readonly number[] | null = GRANT_OF_40;
  readonly sent: (readonly (string | number)[])[] = [];
  reconnects = 0;
  isClosed = false;

  get commands(): number {
    return this.sent.length;
  }

  onReady(): void {}

  call(args: readonly (string | number)[]): Promise<readonly number[]> {
    this.sent.push(args);
    return this.reply === null ? new Promise(() => {}) : Promise.resolve(this.reply);
  }

  reconnect(): void {
    this.reconnects++;
  }

  close(): void {
    this.isClosed = true;
  }
}

function startLeases() {
  const store = new ScriptedStore();
  const leases = new SharedLeases({ store, workerId: 'w', cap: 100, fallbackWorkers: 5, riseAfterMs: 5000 });
  return { store, leases, limit: () => leases.limitAt(performance.now()) };
}

test('the granted lease is the limit, and is renewed every 100 ms, or every 50 ms under shortage', () =>
  inVirtualTime(async () => {
    const { store, leases, limit } = startLeases();
    expect(limit()).toBe(0);
    await pass(10);
    expect(limit()).toBe(40);
    expect(leases.stats()).toMatchObject({ mode: 'fresh', renewals: 1, renewalFailures: 0, workers: 4 });
    await pass(1000);
    expect(store.commands).toBeWithin(9, 12);
    const before = store.commands;
    for (let ms = 0; ms < 1000; ms += 10) {
      leases.runShort();
      await pass(10);
    }
    expect(store.commands - before).toBeWithin(16, 21);
    await leases.close();
  }));

test('without replies, renewals fail, the connection is replaced, and the limit falls to the floor', () =>
  inVirtualTime(async () => {
    const { store, leases, limit } = startLeases();
    await pass(10);
    store.reply = null;
    await pass(600);
    expect(leases.stats()).toMatchObject({ mode: 'stale', renewals: 1, limit: 40 });
    expect(store.reconnects).toBeGreaterThan(0);
    await pass(200);
    expect(leases.stats()).toMatchObject({ mode: 'floor', limit: 25 });
    expect(leases.stats().renewalFailures).toBeGreaterThanOrEqual(3);
    expect(limit()).toBe(25);
    void leases.close();
  }));

test('an exit is reported once for all callers, and rejected while Redis is unavailable', () =>
  inVirtualTime(async () => {
    const { store, leases } = startLeases();
    await expect(leases.reportExit('dead')).rejects.toThrow('Redis is unavailable');
    await pass(10);
    const reports = [leases.reportExit('dead'), leases.reportExit('dead')];
    await pass(200);
    await Promise.all(reports);
    expect(store.sent.filter(([verb]) => verb === 'exit')).toEqual([['exit', 'dead']]);
    await leases.close();
  }));

test('closing leaves the cluster and closes the connection', () =>
  inVirtualTime(async () => {
    const { store, leases, limit } = startLeases();
    await pass(10);
    await leases.close();
    await settled();
    expect(store.sent.at(-1)).toEqual(['exit', 'w']);
    expect(store.isClosed).toBe(true);
    expect(limit()).toBe(0);
    const { commands } = store;
    await pass(1000);
    expect(store.commands).toBe(commands);
  }));
