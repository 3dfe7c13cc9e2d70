import { describe, expect, test } from 'bun:test';
import { LoopLimit } from '../../../src/shedding/loop-limit.ts';

const [NON_CRITICAL, DEFAULT, CRITICAL] = [0, 1, 2];

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

  test('lets it start half of what it started, and nothing is refused before the first update', () => {
    expect(startedAfter(2, [CRITICAL])).toEqual([STARTED / 2, STARTED / 2, STARTED]);
    expect(startedAfter(1, [])).toEqual([STARTED, STARTED, STARTED]);
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
