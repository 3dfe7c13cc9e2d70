import { describe, expect, test } from 'bun:test';
import { LoopUse } from '../../../src/shedding/loop-use.ts';

const UPDATE_MS = 50;

/** The use of a loop whose clock moves as owners work. */
function startUse() {
  const use = new LoopUse();
  let nowMs = 1000;
  const arrive = (owner: string | null) => use.arrive(owner, nowMs);
  return {
    use,
    arrive,
    /** A request of the owner that works for this long, and waits for nothing. */
    work(owner: string | null, ms: number) {
      arrive(owner);
      use.start();
      nowMs += ms;
      use.work(owner, nowMs);
    },
    update: (elapsedMs = UPDATE_MS) => use.update(elapsedMs),
    /** Whether a request of the owner may exceed the limits now. */
    mayExceed(owner: string | null) {
      arrive(owner);
      return use.mayExceed();
    },
  };
}

describe('an owner may exceed the limits', () => {
  test('unless it is among those that used half of the time', () => {
    const { work, update, mayExceed } = startUse();
    work('first', 20);
    work('second', 15);
    work('third', 9);
    work('fourth', 1);
    update();
    expect(['first', 'second', 'third', 'fourth', 'new'].map(mayExceed)).toEqual([
      false,
      false,
      true,
      true,
      true,
    ]);
  });

  test('unless it is among those, whichever of them worked first, when they used exactly half', () => {
    const { work, update, mayExceed } = startUse();
    work('light', 4);
    work('medium', 16);
    work('heavy', 20);
    update(0);
    expect(['light', 'medium', 'heavy'].map(mayExceed)).toEqual([true, true, false]);
  });

  test('unless it is among those that used half only together', () => {
    const { work, update, mayExceed } = startUse();
    work('light', 10);
    work('medium', 11);
    work('heavy', 19);
    update(0);
    expect(['light', 'medium', 'heavy'].map(mayExceed)).toEqual([true, false, false]);
  });

  test('not while it is alone, or nothing was measured', () => {
    const { work, update, mayExceed } = startUse();
    expect(mayExceed('alone')).toBe(false);
    update();
    expect(mayExceed('alone')).toBe(false);
    work('alone', 5);
    update();
    expect(mayExceed('alone')).toBe(false);
  });

  test('until it used as much as they did, even between two updates', () => {
    const { work, update, mayExceed } = startUse();
    work('heavy', 20);
    update();
    expect(mayExceed('burst')).toBe(true);
    work('burst', 40);
    expect(mayExceed('burst')).toBe(false);
  });

  test('and again when it has used nothing for seconds', () => {
    const { work, update, mayExceed } = startUse();
    work('former', 40);
    for (let i = 0; i < 100; i++) {
      work('heavy', 1);
      update();
    }
    expect(['former', 'heavy'].map(mayExceed)).toEqual([true, false]);
  });

  test('however many others hardly use the time', () => {
    const { work, update, mayExceed } = startUse();
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 5000; i++) work(`small ${i}`, 0.02);
      work('usual', 10);
      for (let i = 0; i < 5; i++) work('heavy', 45);
      update();
    }
    expect(['usual', 'heavy'].map(mayExceed)).toEqual([true, false]);
  });
});

test('callers whose key is not verified count as one', () => {
  const { work, update, mayExceed } = startUse();
  for (let i = 0; i < 20; i++) work(null, 2);
  work('owner', 10);
  update();
  expect([null, 'owner'].map(mayExceed)).toEqual([false, true]);
});

test('the time until the next request arrives is that of the one before, and time goes to the one that used it', () => {
  const use = new LoopUse();
  use.arrive('flood', 0);
  use.arrive('other', 20);
  use.arrive('flood', 21);
  use.work('other', 22);
  use.work('flood', 40);
  use.update(UPDATE_MS);
  use.arrive('flood', 40);
  expect(use.mayExceed()).toBe(false);
  use.arrive('other', 41);
  expect(use.mayExceed()).toBe(true);
});

test('the time from the end of a request until the next arrival is of the one that worked last', () => {
  const use = new LoopUse();
  use.arrive('busy', 0);
  use.arrive('other', 1);
  use.work('busy', 2);
  use.arrive('other', 22);
  use.work('other', 23);
  use.update(0);
  use.arrive('busy', 23);
  expect(use.mayExceed()).toBe(false);
  use.arrive('other', 23);
  expect(use.mayExceed()).toBe(true);
});

test('a time that was read before the last step counts nothing, and no step counts twice', () => {
  const use = new LoopUse();
  use.arrive('first', 0);
  use.work('first', 20);
  use.work('first', 1);
  use.work('late', 30);
  use.update(0);
  // 20 ms and 10 ms.
  use.arrive('late', 30);
  expect(use.mayExceed()).toBe(true);
  use.arrive('first', 30);
  expect(use.mayExceed()).toBe(false);
});

test('one owner that is just below the heaviest leaves room beyond the limits to others', () => {
  const { work, update, mayExceed } = startUse();
  for (let i = 0; i < 40; i++) {
    work('heavy', 0.5);
    work('accomplice', 0.4);
  }
  work('other', 0.5);
  update();
  const started = Array.from({ length: 1000 }, () => mayExceed('accomplice')).filter(Boolean).length;
  expect(started).toBeWithin(10, 120);
  expect(Array.from({ length: 10 }, () => mayExceed('other'))).not.toContain(false);
});

test('what owners start beyond the limits between two updates is bounded by what it costs', () => {
  const { work, update, mayExceed } = startUse();
  for (let i = 0; i < 4; i++) work('heavy', 20);
  for (const owner of ['a', 'b', 'c', 'd', 'e', 'f']) work(owner, 8);
  update();
  const started = () => ['a', 'b', 'c', 'd', 'e', 'f'].map(mayExceed).filter(Boolean).length;
  expect(started()).toBeWithin(2, 6);
  expect(started()).toBe(0);
  update();
  expect(started()).toBeWithin(2, 6);
});

describe('use', () => {
  test('is halved every half second', () => {
    const { work, update, mayExceed } = startUse();
    work('former', 40);
    update(500);
    work('recent', 21);
    update(0);
    expect(['former', 'recent'].map(mayExceed)).toEqual([true, false]);
  });

  test('counts at most 50 ms of a step: a pause of the process is of nobody', () => {
    const { work, update, mayExceed } = startUse();
    work('paused', 1000);
    work('a', 30);
    work('b', 30);
    update(0);
    expect(['paused', 'a', 'new'].map(mayExceed)).toEqual([false, false, true]);
  });

  test('is known of the 1,024 owners that worked last', () => {
    for (const [others, isForgotten] of [
      [1023, false],
      [1024, true],
    ] as const) {
      const { work, update, mayExceed } = startUse();
      work('oldest', 40);
      for (let i = 0; i < others; i++) work(`owner ${i}`, 0.125);
      update(0);
      expect(mayExceed('oldest')).toBe(isForgotten);
    }
  });
});

test('what an owner may start beyond the limits is what its own requests cost, or the mean if it is new', () => {
  const { work, update, mayExceed } = startUse();
  const startedBy = (owner: string) => {
    update(0);
    return Array.from({ length: 200 }, () => mayExceed(owner)).filter(Boolean).length;
  };
  for (let i = 0; i < 4; i++) work('heavy', 24);
  for (let i = 0; i < 33; i++) work('cheap', 0.5);
  for (let i = 0; i < 5; i++) work('costly', 4);
  // Costs stay the same when times and starts are halved.
  for (let i = 0; i < 2; i++) {
    // About half of 50 ms each, at 16.5 ms for 32 starts, at 20 ms for 4, and at the mean of all 42.
    expect(['cheap', 'costly', 'new', 'heavy'].map(startedBy)).toEqual([48, 5, 8, 0]);
    update(500);
  }
});

test('an owner that is new counts as the only request that was started', () => {
  const { work, update, mayExceed } = startUse();
  work('heavy', 20);
  update(0);
  expect(['new', 'new'].map(mayExceed)).toEqual([true, false]);
});

test('an owner that has started a second request is known by what it costs', () => {
  const { work, update, mayExceed } = startUse();
  for (let i = 0; i < 400; i++) work('heavy', 0.25);
  // Its first request starts before anything is known of it.
  for (let i = 0; i < 2; i++) work('costly', 10);
  update(0);
  const startedBy = (owner: string) =>
    Array.from({ length: 200 }, () => mayExceed(owner)).filter(Boolean).length;
  expect(startedBy('costly')).toBe(1);
  update(0);
  expect(startedBy('new')).toBeGreaterThan(50);
});
