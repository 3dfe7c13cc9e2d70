import { describe, expect, test } from 'bun:test';
import { LeaseHolder } from '../../../src/shedding/lease-holder.ts';
import { type RenewalReply, STANDING, TTL_MS, VALID_MS } from '../../../src/shedding/lease-protocol.ts';

const CAP = 100;
const RISE_AFTER_MS = 5000;
const IDLE = { inFlight: 0, wanted: 0, cutoff: 0, arrivals: 0 };
const GRANTED: RenewalReply = {
  lease: 40,
  standing: STANDING.member,
  isLearning: false,
  workers: 4,
  epoch: 1,
  version: 4,
  cap: CAP,
  held: 100,
  inFlight: 0,
  wanted: 0,
  isShort: false,
  cutoff: 0,
  recentWorkers: 4,
};

function newHolder(): LeaseHolder {
  return new LeaseHolder({
    workerId: 'w',
    cap: CAP,
    fallbackWorkers: 5,
    riseAfterMs: RISE_AFTER_MS,
    startMs: 0,
    random: () => 0.5,
  });
}

/** A holder whose first renewal, sent at 0, was granted immediately. */
function granted(reply: Partial<RenewalReply> = {}): LeaseHolder {
  const holder = newHolder();
  const { seq } = holder.nextRenewal(0, IDLE)!;
  holder.acceptReply(seq, { ...GRANTED, ...reply }, 0);
  return holder;
}

describe('a lease', () => {
  test('grants nothing before the first reply', () => {
    const holder = newHolder();
    expect(holder.limitAt(0)).toBe(0);
    expect(holder.modeAt(0)).toBe('joining');
    holder.nextRenewal(0, IDLE);
    expect(holder.limitAt(TTL_MS - 1)).toBe(0);
  });

  test('runs from the sending of the renewal, not from the reply', () => {
    const holder = newHolder();
    const { seq } = holder.nextRenewal(0, IDLE)!;
    expect(holder.acceptReply(seq, GRANTED, VALID_MS - 1)).toBe(true);
    expect(holder.limitAt(VALID_MS - 1)).toBe(40);
    expect(holder.limitAt(VALID_MS)).toBe(25);
  });

  test('has expired after a pause of the process, even if no timer has run', () => {
    const holder = granted({ lease: 80 });
    expect(holder.limitAt(60_000)).toBe(25);
    expect(holder.modeAt(60_000)).toBe('floor');
  });

  test('is not renewed by a reply that arrives after it would have expired', () => {
    const holder = newHolder();
    const { seq } = holder.nextRenewal(0, IDLE)!;
    expect(holder.acceptReply(seq, GRANTED, VALID_MS)).toBe(false);
    expect(holder.limitAt(VALID_MS)).toBe(0);
  });

  test('is renewed only by the reply to the latest renewal', () => {
    const holder = granted({ lease: 10 });
    const first = holder.nextRenewal(100, IDLE)!;
    holder.failRenewal(first.seq, 150);
    const second = holder.nextRenewal(200, IDLE)!;
    expect(holder.acceptReply(first.seq, { ...GRANTED, lease: 90 }, 210)).toBe(false);
    expect(holder.limitAt(210)).toBe(10);
    expect(holder.acceptReply(second.seq, { ...GRANTED, lease: 20 }, 220)).toBe(true);
    expect(holder.limitAt(220)).toBe(20);
  });

  test('is never above the configured cap', () => {
    expect(granted({ lease: 500 }).limitAt(1)).toBe(CAP);
  });
});

describe('a renewal', () => {
  test('is sent one at a time, every 100 ms, or after 50 ms when the worker runs short', () => {
    const holder = granted();
    expect(holder.nextRenewal(99, IDLE)).toBeNull();
    expect(holder.nextRenewal(100, IDLE)).not.toBeNull();
    expect(holder.nextRenewal(400, IDLE)).toBeNull();
    const hurried = granted();
    hurried.runShort();
    expect(hurried.nextRenewal(49, IDLE)).toBeNull();
    expect(hurried.nextRenewal(50, IDLE)).not.toBeNull();
  });

  test('claims the lease, or what is in flight if that is more', () => {
    expect(granted().nextRenewal(100, IDLE)!.claim).toBe(40);
    expect(granted().nextRenewal(100, { ...IDLE, inFlight: 55 })!.claim).toBe(55);
  });

  test('gives up unused permits before reporting it, while the cluster is short', () => {
    const holder = granted({ isShort: true });
    expect(holder.nextRenewal(50, { ...IDLE, inFlight: 3, wanted: 7 })!.claim).toBe(7);
    expect(holder.limitAt(50)).toBe(7);
    expect(granted().nextRenewal(100, { ...IDLE, wanted: 7 })!.claim).toBe(40);
  });

  test('acknowledges the latest known membership', () => {
    const { workers, epoch, version, standing } = granted().nextRenewal(100, IDLE)!;
    expect({ workers, epoch, version, standing }).toEqual({ workers: 4, epoch: 1, version: 4, standing: 2 });
  });

  test('requests a new connection after three failures, and then probes more slowly', () => {
    const holder = granted();
    const fail = (sentMs: number) => holder.failRenewal(holder.nextRenewal(sentMs, IDLE)!.seq, sentMs + 50);
    expect([fail(100), fail(200), fail(300)]).toEqual([false, false, true]);
    expect(holder.dueAtMs()).toBe(600);
    holder.reconnected();
    expect(holder.dueAtMs()).toBe(350);
  });
});

describe('a worker that is cut off', () => {
  test('drops to the floor immediately, by the number of workers it knew', () => {
    const holder = granted({ lease: 90, workers: 3 });
    expect(holder.limitAt(VALID_MS - 1)).toBe(90);
    expect(holder.limitAt(VALID_MS)).toBe(33);
  });

  test('rises to the floor only after the work of others has ended', () => {
    const holder = granted({ lease: 2 });
    expect(holder.limitAt(VALID_MS)).toBe(2);
    expect(holder.limitAt(VALID_MS + RISE_AFTER_MS - 1)).toBe(2);
    expect(holder.limitAt(VALID_MS + RISE_AFTER_MS)).toBe(25);
  });

  test('does not rise while a renewal that claims less is outstanding', () => {
    const holder = granted({ lease: 2 });
    const atMs = VALID_MS + RISE_AFTER_MS - 10;
    const { seq, claim } = holder.nextRenewal(atMs, IDLE)!;
    expect(claim).toBe(2);
    expect(holder.limitAt(atMs + 20)).toBe(2);
    holder.failRenewal(seq, atMs + 50);
    expect(holder.limitAt(atMs + 50)).toBe(25);
  });

  test('stays within the share set by its supervisor', () => {
    const holder = granted({ lease: 90 });
    holder.setShare(7, 10);
    expect(holder.limitAt(10)).toBe(90);
    expect(holder.limitAt(VALID_MS)).toBe(7);
    holder.setShare(3, VALID_MS + 1);
    expect(holder.limitAt(VALID_MS + 1)).toBe(3);
  });

  test('that never got a reply takes the configured share after one TTL', () => {
    const holder = newHolder();
    expect(holder.limitAt(TTL_MS - 1)).toBe(0);
    expect(holder.limitAt(TTL_MS)).toBe(20);
    expect(holder.modeAt(TTL_MS)).toBe('floor');
  });

  test('that returns claims what it uses, and admits nothing if it is granted nothing', () => {
    const holder = granted({ lease: 25 });
    const { seq, claim } = holder.nextRenewal(2000, { ...IDLE, inFlight: 12 })!;
    expect(claim).toBe(25);
    holder.acceptReply(seq, { ...GRANTED, lease: 0 }, 2010);
    expect(holder.limitAt(2010)).toBe(0);
    expect(holder.nextRenewal(2060, { ...IDLE, inFlight: 12 })!.claim).toBe(12);
  });
});

describe('the mode', () => {
  test('names the source of the limit', () => {
    const holder = granted();
    expect([100, 250, 900].map((nowMs) => holder.modeAt(nowMs))).toEqual(['fresh', 'stale', 'floor']);
    expect(granted({ isLearning: true }).modeAt(1)).toBe('learning');
    expect(granted({ standing: STANDING.joining, lease: 0 }).modeAt(1)).toBe('joining');
  });
});

test('the cutoff of the cluster is known only while there is a lease', () => {
  const holder = granted({ cutoff: 17 });
  expect(holder.cutoffAt(VALID_MS - 1)).toBe(17);
  expect(holder.cutoffAt(VALID_MS)).toBeNull();
});

test('a worker that leaves takes no more permits, even if they are granted', () => {
  const holder = granted();
  const { seq } = holder.nextRenewal(100, IDLE)!;
  holder.leave();
  expect(holder.limitAt(101)).toBe(0);
  holder.acceptReply(seq, { ...GRANTED, lease: 60 }, 102);
  expect(holder.limitAt(102)).toBe(0);
  expect(holder.limitAt(1_000_000)).toBe(0);
  expect(holder.nextRenewal(1_000_000, { ...IDLE, inFlight: 3 })!.claim).toBe(3);
});
