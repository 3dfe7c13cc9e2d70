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
    expect(loop.update(50)).toEqual({ isLate: false, delayMs: 0 });
    expect(start(loop, NON_CRITICAL, 10_000)).toBe(10_000);
    loop.update(50);
    expect(loop.limit).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('a loop that is late', () => {
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

describe('a loop whose turn outlasts the updates', () => {
  const [TIERS, STARTED] = [[NON_CRITICAL, DEFAULT, CRITICAL], 100];

  /** Runs updates between which each tier starts as many requests as it may. Returns them for the last one. */
  function startedAfter(updates: number, refused: readonly number[], isSameTurn = true): number[] {
    const loop = new LoopLimit(
      () => 0,
      () => isSameTurn,
    );
    let started: number[] = [];
    for (let i = 0; i < updates; i++) {
      loop.update(50);
      started = TIERS.map((rank) => {
        let count = 0;
        for (; count < STARTED && !loop.yields(rank); count++) loop.enter(rank);
        return count;
      });
      for (const rank of refused) loop.noteRefusal(rank);
    }
    expect(loop.state.isLate).toBe(isSameTurn);
    return started;
  }

  test('makes each tier yield to the more important ones that are refused', () => {
    expect(startedAfter(20, [CRITICAL])).toEqual([2, 2, STARTED]);
    expect(startedAfter(20, [DEFAULT])).toEqual([2, STARTED, STARTED]);
  });

  test('takes nothing from a tier if only itself is refused', () => {
    expect(startedAfter(20, [NON_CRITICAL])).toEqual([STARTED, STARTED, STARTED]);
  });

  test('lets owners that use little of the time start less important requests too', () => {
    const loop = new LoopLimit(
      () => 0,
      () => true,
    );
    let nowMs = 0;
    const isYielding = (owner: string) => {
      loop.arrive(nowMs, () => owner);
      return loop.yields(NON_CRITICAL);
    };
    for (let i = 0; i < 20; i++) {
      loop.update(50);
      for (let j = 0; j < 10; j++) {
        if (!isYielding('greedy')) loop.enter(NON_CRITICAL);
        nowMs += 4;
        loop.work('greedy', nowMs);
      }
      loop.noteRefusal(CRITICAL);
    }
    expect(['greedy', 'modest'].map(isYielding)).toEqual([true, false]);
  });

  test('gives back half as much again per update once no more important one is refused', () => {
    const loop = new LoopLimit(
      () => 0,
      () => true,
    );
    const startedNow = () => {
      let count = 0;
      for (; count < 20_000 && !loop.yields(NON_CRITICAL); count++) loop.enter(NON_CRITICAL);
      return count;
    };
    for (let i = 0; i < 20; i++) {
      loop.noteRefusal(CRITICAL);
      loop.update(50);
      startedNow();
    }
    const started = Array.from({ length: 30 }, () => {
      loop.update(50);
      return startedNow();
    });
    expect(started.slice(0, 4)).toEqual([3, 5, 7, 11]);
    expect(started).toEqual(started.toSorted((a, b) => a - b));
    expect(started.at(-1)).toBe(20_000);
  });

  test('does so only while it is late', () => {
    expect(startedAfter(20, [CRITICAL], false)).toEqual([STARTED, STARTED, STARTED]);
  });
});
