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

/** Begins as many requests in one turn as are let in, at most `asked`. */
function begin(loop: LoopLimit, rank: number, asked: number): number {
  let begun = 0;
  for (let i = 0; i < asked; i++) {
    if (!loop.admits(rank)) continue;
    loop.enter();
    begun++;
  }
  return begun;
}
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A loop that a hundred requests a turn made 125 ms late. */
async function lateLoop() {
  const { loop, delay } = loopOf();
  delay(125);
  loop.update();
  begin(loop, CRITICAL, 100);
  loop.update();
  await nextTurn();
  return { loop, delay };
}

describe('a loop that is on time', () => {
  test('limits nobody', () => {
    const { loop } = loopOf();
    expect(loop.update()).toBe(0);
    expect(begin(loop, NON_CRITICAL, 10_000)).toBe(10_000);
    loop.update();
    expect(loop.limit).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('a loop that is late', () => {
  test('begins so many in a turn as it can in time', async () => {
    const { loop } = await lateLoop();
    expect(loop.limit).toBeCloseTo(40);
    expect(begin(loop, CRITICAL, 100)).toBe(40);
    await nextTurn();
    expect(begin(loop, CRITICAL, 100)).toBe(40);
  });

  test('keeps room for the more important', async () => {
    const { loop } = await lateLoop();
    expect(begin(loop, NON_CRITICAL, 100)).toBe(24);
    expect(begin(loop, DEFAULT, 100)).toBe(8);
    expect(begin(loop, CRITICAL, 100)).toBe(8);
  });

  test('begins one in a turn at least, of whatever rank, however late it is', async () => {
    const { loop, delay } = await lateLoop();
    delay(5000);
    for (let i = 0; i < 20; i++) {
      begin(loop, NON_CRITICAL, 10);
      loop.update();
      await nextTurn();
    }
    expect(loop.limit).toBe(1);
    expect(begin(loop, NON_CRITICAL, 10)).toBe(1);
  });

  test('that is late for something else limits nobody: no requests were begun in it', () => {
    const { loop, delay } = loopOf();
    delay(500);
    for (let i = 0; i < 10; i++) loop.update();
    expect(loop.limit).toBe(Number.POSITIVE_INFINITY);
  });

  test('is held where it is while it is nearly on time and somebody is refused', async () => {
    const { loop, delay } = await lateLoop();
    delay(35);
    begin(loop, CRITICAL, 100);
    loop.update();
    expect(loop.limit).toBeCloseTo(40);
  });

  test('and on time again lets in more and more, until it limits nobody', async () => {
    const { loop, delay } = await lateLoop();
    delay(1);
    const limits: number[] = [];
    for (let i = 0; i < 20; i++) {
      begin(loop, CRITICAL, 10_000);
      loop.update();
      limits.push(loop.limit);
      await nextTurn();
    }
    expect(limits).toEqual(limits.toSorted((a, b) => a - b));
    expect(limits[0]!).toBeLessThan(100);
    expect(limits.at(-1)).toBe(Number.POSITIVE_INFINITY);
    expect(begin(loop, NON_CRITICAL, 10_000)).toBe(10_000);
  });
});
