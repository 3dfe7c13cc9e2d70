import { describe, expect, test } from 'bun:test';
import { OwnerLoad } from '../../../src/shedding/owner-load.ts';
import { principalOf as anyPrincipalOf } from '../../support/principal.ts';
import { bytesRetainedOfOwners, FEW_BYTES } from '../../support/retained-bytes.ts';
import { type Served, serveVirtually } from '../../support/virtual-server.ts';

const principalOf = (owner: string, keyId = `key of ${owner}`) => anyPrincipalOf(owner, { keyId });

describe('an owner is modest', () => {
  test('up to an equal part of what is in work, while others have more', () => {
    const load = new OwnerLoad();
    expect(load.isModest('modest')).toBe(false);
    for (let i = 0; i < 10; i++) load.enter(principalOf('greedy'));
    expect([load.isModest('greedy'), load.isModest('modest')]).toEqual([false, true]);
    for (let i = 0; i < 9; i++) load.enter(principalOf('modest'));
    expect(load.isModest('modest')).toBe(false);
    for (let i = 0; i < 5; i++) load.leave('modest');
    expect([load.isModest('greedy'), load.isModest('modest')]).toEqual([false, true]);
    for (let i = 0; i < 10; i++) load.leave('greedy');
    expect(load.isModest('modest')).toBe(false);
  });

  test('as soon as one more request of its own is no more than an equal part', () => {
    const load = new OwnerLoad();
    load.enter(principalOf('greedy'));
    expect(load.isModest('modest')).toBe(false);
    load.enter(principalOf('greedy'));
    expect([load.isModest('modest'), load.isModest('greedy')]).toEqual([true, false]);
    load.enter(principalOf('third'));
    expect([load.isModest('modest'), load.isModest('third')]).toEqual([true, false]);
    load.enter(principalOf('greedy'));
    expect([load.isModest('modest'), load.isModest('third'), load.isModest('greedy')]).toEqual([
      true,
      true,
      false,
    ]);
  });

  test('by those that have requests in work now, and not by those that had', () => {
    const load = new OwnerLoad();
    for (let i = 0; i < 20; i++) {
      load.enter(principalOf(`former ${i}`));
      load.leave(`former ${i}`);
    }
    for (let i = 0; i < 2; i++) load.enter(principalOf('greedy'));
    expect(load.isModest('modest')).toBe(true);
  });

  test('whichever of its keys it uses, and with a new key only a few times until it was authenticated', () => {
    const load = new OwnerLoad();
    load.enter(principalOf('modest', 'known'));
    load.leave('modest');
    for (let i = 0; i < 10; i++) load.enter(principalOf('greedy', i % 2 === 0 ? 'first' : 'second'));
    expect(['first', 'second', 'known'].map((key) => load.isModestKey(() => key))).toEqual([
      false,
      false,
      true,
    ]);
    expect(load.isModestKey(() => null)).toBe(false);
    const invented = () => Array.from({ length: 100 }, (_, i) => load.isModestKey(() => `invented ${i}`));
    expect(invented().filter(Boolean)).toHaveLength(8);
    expect(invented().filter(Boolean)).toHaveLength(0);
    load.update(0);
    expect(invented().filter(Boolean)).toHaveLength(8);
  });

  test('is what nobody can be while nothing is in work, and then no key is read', () => {
    const load = new OwnerLoad();
    const unread = () => {
      throw new Error('read');
    };
    expect(load.isModestKey(unread)).toBe(false);
    load.enter(principalOf('a'));
    expect(() => load.isModestKey(unread)).toThrow('read');
    load.leave('a');
    expect(load.isModestKey(unread)).toBe(false);
  });

  test('by its last 4,096 keys: one that is used again displaces none, and the oldest is forgotten', () => {
    const load = new OwnerLoad();
    const use = (key: string) => {
      load.enter(principalOf('modest', key));
      load.leave('modest');
    };
    for (let i = 0; i < 4096; i++) use(`key ${i}`);
    use('key 7');
    for (let i = 0; i < 10; i++) load.enter(principalOf('greedy', 'key 0'));
    for (let i = 0; i < 8; i++) load.isModestKey(() => `invented ${i}`);
    const isKnown = (key: string) => load.isModestKey(() => key);
    expect(Array.from({ length: 4096 }, (_, i) => isKnown(`key ${i}`))).not.toContain(false);
    use('another');
    expect(['key 0', 'key 1', 'another'].map(isKnown)).toEqual([false, true, true]);
  });
});

describe('under an overload by one owner', () => {
  // What 10 slots serve in 20 ms each.
  const PER_SECOND = 500;
  const serve = (shareOfModest: number) =>
    serveVirtually({
      phases: [{ untilMs: 20_000, perSecond: { default: 4 * PER_SECOND } }],
      bottleneck: { slots: 10, serviceMs: () => 20 },
      ownerOf: (random) => (random() < shareOfModest ? 'modest' : 'greedy'),
    }).filter(({ atMs }) => atMs > 5000);
  const refusedShare = (served: readonly Served[], owner: string) => {
    const own = served.filter((one) => one.owner === owner);
    return own.filter(({ tookMs }) => tookMs === null).length / own.length;
  };

  test('requests of others are served, and as many as before in all', () => {
    const served = serve(0.03);
    expect(refusedShare(served, 'modest')).toBeLessThan(0.05);
    expect(refusedShare(served, 'greedy')).toBeGreaterThan(0.6);
    const perSecond = served.filter(({ tookMs }) => tookMs !== null).length / 15;
    expect(perSecond).toBeWithin(0.9 * PER_SECOND, 1.05 * PER_SECOND);
    const latencies = served.flatMap(({ tookMs }) => tookMs ?? []).sort((x, y) => x - y);
    expect(latencies[Math.floor(latencies.length * 0.99)]!).toBeLessThan(150);
  });

  test('one that sends more than its part is refused too', () => {
    expect(refusedShare(serve(0.5), 'modest')).toBeGreaterThan(0.5);
  });
});

test('an owner counts as present for a while after its last request in work', () => {
  const load = new OwnerLoad();
  load.update(0);
  expect(load.hasOthers('a')).toBe(false);
  load.enter(principalOf('a', 'key'));
  load.leave('a');
  expect({ a: load.hasOthers('a'), b: load.hasOthers('b') }).toEqual({ a: false, b: true });
  load.enter(principalOf('c', 'key of c'));
  load.leave('c');
  expect([load.hasOthers('a'), load.hasOthers('c')]).toEqual([true, true]);
  load.update(1000);
  expect(load.hasOthers('b')).toBe(true);
  load.update(1500);
  expect(load.hasOthers('b')).toBe(true);
  load.update(2000);
  expect(load.hasOthers('b')).toBe(false);
});

test('owners are forgotten once they have had no request in work for a while', () => {
  const load = new OwnerLoad();
  // One key for all, so that only what is stored by owner is measured.
  load.enter(principalOf('first', 'key'));
  let nowMs = 0;
  const visit = (owner: string) => {
    load.enter(principalOf(owner, 'key'));
    load.leave(owner);
    nowMs += 1000;
    load.update(nowMs);
  };
  expect(bytesRetainedOfOwners(visit)).toBeLessThan(FEW_BYTES);
});
