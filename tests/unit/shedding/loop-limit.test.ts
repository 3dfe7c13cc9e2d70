import { describe, expect, test } from 'bun:test';
import { LoopLimit } from '../../../src/shedding/loop-limit.ts';

const [NON_CRITICAL, DEFAULT, CRITICAL] = [0, 1, 2];

/** A loop whose delay the test sets. */
function loopOf(): { loop: LoopLimit; delay: (ms: number) => void } {
  let delayMs = 0;
  const delay = (ms: number) => {
    delayMs = ms;
  };
  return { loop: new LoopLimit(() => delayMs), delay };
}

/** Starts as many requests in one turn as are admitted, at most `count`. */
function start(loop: LoopLimit, rank: number, count: number): number {
  let started = 0;
  for (let i = 0; i < count; i++) {
    if (!loop.admits(rank)) continue;
    loop.enter(2);
    started++;
  }
  return started;
}
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A loop that is 125 ms late after a hundred requests in one turn. */
async function lateLoop() {
  const { loop, delay } = loopOf();
  delay(125);
  loop.update(50);
  start(loop, CRITICAL, 100);
  loop.update(50);
  await nextTurn();
  return { loop, delay };
}

describe('a loop that is on time', () => {
  test('limits nothing', () => {
    const { loop } = loopOf();
    expect([loop.state, loop.isLate]).toEqual([{ isLate: false, delayMs: 0 }, false]);
    expect(loop.update(50)).toEqual({ isLate: false, delayMs: 0 });
    expect(start(loop, NON_CRITICAL, 10_000)).toBe(10_000);
    loop.update(50);
    expect(loop.limit).toBe(Number.POSITIVE_INFINITY);
  });

  test('does not look up owners, and counts nothing: its first late turn only begins to be watched', async () => {
    const { loop, delay } = loopOf();
    loop.arrive(0, () => {
      throw new Error('An owner was looked up.');
    });
    start(loop, CRITICAL, 100);
    delay(125);
    loop.update(50);
    expect(loop.limit).toBe(Number.POSITIVE_INFINITY);
    let lookedUp = 0;
    loop.arrive(0, () => `owner ${++lookedUp}`);
    expect(lookedUp).toBe(1);
  });
});

describe('a loop that is late', () => {
  test('is limited by its longest turn, even if that is one request', async () => {
    const { loop, delay } = loopOf();
    delay(125);
    loop.update(50);
    start(loop, CRITICAL, 100);
    await nextTurn();
    start(loop, CRITICAL, 1);
    loop.update(50);
    expect(loop.limit).toBeCloseTo(40);
    const alone = loopOf();
    alone.delay(125);
    alone.loop.update(50);
    start(alone.loop, CRITICAL, 1);
    alone.loop.update(50);
    expect(alone.loop.limit).toBe(1);
  });

  test('starts as many requests per turn as it can in time', async () => {
    const { loop } = await lateLoop();
    expect(loop.limit).toBeCloseTo(40);
    expect(start(loop, CRITICAL, 100)).toBe(40);
    await nextTurn();
    expect(start(loop, CRITICAL, 100)).toBe(40);
  });

  test('leaves room for more important tiers', async () => {
    const { loop } = await lateLoop();
    expect(start(loop, NON_CRITICAL, 100)).toBe(24);
    expect(start(loop, DEFAULT, 100)).toBe(8);
    expect(start(loop, CRITICAL, 100)).toBe(8);
  });

  test('starts at least one request per turn, of any rank, however late it is', async () => {
    const { loop, delay } = await lateLoop();
    delay(5000);
    for (let i = 0; i < 20; i++) {
      start(loop, NON_CRITICAL, 10);
      loop.update(50);
      await nextTurn();
    }
    expect(loop.limit).toBe(1);
    expect(start(loop, NON_CRITICAL, 10)).toBe(1);
  });

  test('without requests in the turn is late for another reason, so nothing is limited', () => {
    const { loop, delay } = loopOf();
    delay(500);
    for (let i = 0; i < 10; i++) loop.update(50);
    expect(loop.limit).toBe(Number.POSITIVE_INFINITY);
  });

  test('keeps its limit while it is nearly on time and requests are refused', async () => {
    const { loop, delay } = await lateLoop();
    delay(35);
    start(loop, CRITICAL, 100);
    loop.update(50);
    expect(loop.limit).toBeCloseTo(40);
  });

  test('and on time again raises the limit until it is gone', async () => {
    const { loop, delay } = await lateLoop();
    delay(1);
    const limits: number[] = [];
    for (let i = 0; i < 20; i++) {
      start(loop, CRITICAL, 10_000);
      loop.update(50);
      limits.push(loop.limit);
      await nextTurn();
    }
    expect(limits).toEqual(limits.toSorted((a, b) => a - b));
    expect(limits[0]!).toBeLessThan(100);
    expect(limits.at(-1)).toBe(Number.POSITIVE_INFINITY);
    expect(start(loop, NON_CRITICAL, 10_000)).toBe(10_000);
  });
});

describe('the limit of a late loop', () => {
  test('is exceeded by owners that use little of its time, and by no others', async () => {
    const { loop } = await lateLoop();
    let nowMs = 0;
    const arrive = (owner: string) => {
      loop.arrive(nowMs, () => owner);
      return loop.admits(CRITICAL);
    };
    for (let i = 0; i < 10; i++) {
      arrive('greedy');
      arrive('modest');
      nowMs += 4;
      loop.work('greedy', nowMs);
    }
    loop.update(50);
    while (arrive('greedy')) loop.enter(CRITICAL);
    expect(['greedy', 'modest'].map(arrive)).toEqual([false, true]);
  });

  test('is exceeded by what the requests of an owner cost, which it has started before', async () => {
    const { loop } = await lateLoop();
    let nowMs = 0;
    const arrive = (owner: string) => {
      loop.arrive(nowMs, () => owner);
      return loop.admits(CRITICAL);
    };
    const work = (owner: string, ms: number) => {
      arrive(owner);
      loop.enter(CRITICAL);
      nowMs += ms;
      loop.work(owner, nowMs);
    };
    for (let i = 0; i < 10; i++) {
      work('greedy', 4);
      work('modest', 0.25);
    }
    loop.update(50);
    while (arrive('greedy')) loop.enter(CRITICAL);
    expect(Array.from({ length: 50 }, () => arrive('modest'))).not.toContain(false);
  });

  test('knows nothing of what owners used before the loop was on time', async () => {
    const { loop, delay } = await lateLoop();
    loop.arrive(0, () => 'former');
    loop.work('former', 40);
    delay(0);
    for (let i = 0; i < 20; i++) loop.update(50);
    expect(loop.isLate).toBe(false);
    delay(125);
    loop.update(50);
    start(loop, CRITICAL, 100);
    loop.update(50);
    await nextTurn();
    // The time since then was nobody's.
    loop.arrive(10_000, () => 'recent');
    loop.work('recent', 10_005);
    loop.update(50);
    const mayExceed = (owner: string) => {
      loop.arrive(10_005, () => owner);
      start(loop, CRITICAL, 100);
      return loop.admits(CRITICAL);
    };
    expect(['recent', 'former'].map(mayExceed)).toEqual([false, true]);
  });

  test('follows the turns since the last update, and grows when nothing was refused since', async () => {
    const { loop, delay } = await lateLoop();
    start(loop, CRITICAL, 10);
    loop.update(50);
    expect(loop.limit).toBeCloseTo(4);
    await nextTurn();
    delay(35);
    start(loop, CRITICAL, 10);
    loop.update(50);
    expect(loop.limit).toBeCloseTo(4);
    loop.update(50);
    expect(loop.limit).toBeCloseTo(7);
  });
});

test('the loop counts as late in a long turn, and as long as it has a limit', async () => {
  const { loop, delay } = await lateLoop();
  expect([loop.state.isLate, loop.isLate]).toEqual([false, true]);
  delay(0);
  for (let i = 0; i < 20; i++) loop.update(50);
  expect([loop.limit, loop.isLate]).toEqual([Number.POSITIVE_INFINITY, false]);
  const inTurn = new LoopLimit(
    () => 0,
    () => true,
  );
  inTurn.update(50);
  expect([inTurn.limit, inTurn.isLate]).toEqual([Number.POSITIVE_INFINITY, true]);
});

test('the mean delay of a long idle period does not count', () => {
  const { loop, delay } = loopOf();
  delay(500);
  expect(loop.update(50, true).delayMs).toBe(0);
  expect(loop.update(50).delayMs).toBe(500);
});
