import { describe, expect, spyOn, test } from 'bun:test';
import { AbortReason } from '../../../../../src/envelope/exchange.ts';
import { runLateTimers } from '../../../../../src/utils/late-timers.ts';
import { exchangeOf } from '../../../../support/exchange.ts';
import {
  groupCommitOver,
  LedgerInMemory,
  outcomeOf,
  requestOf,
} from '../../../../support/ledger-in-memory.ts';
import { refusalOf } from '../../../../support/refusal.ts';
import { settled } from '../../../../support/virtual-time.ts';

describe('requests of one turn of the loop', () => {
  test('share one transaction, in order of arrival, and each gets its own result', async () => {
    const ledger = new LedgerInMemory();
    const commit = groupCommitOver(ledger);
    const posted = ['a', 'b', 'c'].map((key) => commit.submit(requestOf(key)));
    const batch = await ledger.next();
    expect(batch.keys).toEqual(['a', 'b', 'c']);
    batch.commit();
    const results = await Promise.all(posted);
    expect(results.map((result) => result.state !== 'reused' && result.items[0]!.id)).toEqual([
      'a/0',
      'b/0',
      'c/0',
    ]);
    expect(ledger.batches).toHaveLength(1);
    const { batches, items, waitingItems, ...failures } = commit.stats();
    expect({ batches, items, waitingItems }).toEqual({ batches: 1, items: 3, waitingItems: 0 });
    expect(failures).toEqual({ retries: 0, refused: 0, displaced: 0 });
  });

  test('form the next batch while one is in flight, never two at a time', async () => {
    const ledger = new LedgerInMemory();
    const commit = groupCommitOver(ledger);
    const first = commit.submit(requestOf('a'));
    const inFlight = await ledger.next();
    const later = ['b', 'c'].map((key) => commit.submit(requestOf(key)));
    await settled();
    expect(ledger.batches).toEqual([['a']]);
    expect(commit.stats().waitingItems).toBe(2);
    inFlight.commit();
    (await ledger.next()).commit();
    await Promise.all([first, ...later]);
    expect(ledger.batches).toEqual([['a'], ['b', 'c']]);
  });

  test('are split if a batch would have too many transfers, without reordering', async () => {
    const ledger = new LedgerInMemory();
    ledger.auto = true;
    const commit = groupCommitOver(ledger, { batch: 10, waiting: 100 });
    const sizes = [4, 4, 4, 1, 10, 1, 12, 1];
    await Promise.all(sizes.map((size, i) => commit.submit(requestOf(`k${i}`, size))));
    // A request larger than a batch forms one alone.
    expect(ledger.batches).toEqual([['k0', 'k1'], ['k2', 'k3'], ['k4'], ['k5'], ['k6'], ['k7']]);
  });
});

describe('a full queue', () => {
  test('refuses what does not fit, with Retry-After', async () => {
    const ledger = new LedgerInMemory();
    const commit = groupCommitOver(ledger, { waiting: 5 });
    const first = commit.submit(requestOf('a', 3));
    const refusal = refusalOf(() => commit.submit(requestOf('b', 3)));
    expect(refusal).toMatchObject({ code: 'queue_full', retryAfterSeconds: 1 });
    const second = commit.submit(requestOf('c', 2));
    expect(commit.stats()).toMatchObject({ waitingItems: 5, refused: 1 });
    ledger.auto = true;
    await Promise.all([first, second]);
    expect(ledger.applied.has('b')).toBe(false);
  });

  test('does not count requests in flight or store the refused key', async () => {
    const ledger = new LedgerInMemory();
    const commit = groupCommitOver(ledger, { waiting: 5 });
    const first = commit.submit(requestOf('a', 5));
    expect(refusalOf(() => commit.submit(requestOf('b'))).code).toBe('queue_full');
    const inFlight = await ledger.next();
    const second = commit.submit(requestOf('b', 5));
    inFlight.commit();
    (await ledger.next()).commit();
    expect(await outcomeOf(Promise.all([first, second]))).toBe('posted');
  });
});

describe('a key', () => {
  test('that is in progress is refused immediately, while waiting and while in flight', async () => {
    const ledger = new LedgerInMemory();
    const commit = groupCommitOver(ledger);
    const first = commit.submit(requestOf('a'));
    const again = () => commit.submit(requestOf('a'));
    const expected = { code: 'idempotency_key_in_progress', retryAfterSeconds: 1 };
    expect(refusalOf(again)).toMatchObject(expected);
    const batch = await ledger.next();
    expect(refusalOf(again)).toMatchObject(expected);
    batch.commit();
    await first;
    ledger.auto = true;
    expect(await again()).toMatchObject({ state: 'replayed' });
    expect([...ledger.applied]).toEqual(['a']);
  });

  test('belongs to its owner: the same key of another owner runs concurrently', async () => {
    const ledger = new LedgerInMemory();
    const commit = groupCommitOver(ledger);
    const posted = [commit.submit(requestOf('a', 1, 'alice')), commit.submit(requestOf('a', 1, 'bob'))];
    (await ledger.next()).commit();
    expect(await Promise.all(posted)).toHaveLength(2);
  });

  test('is free again after its request failed', async () => {
    const ledger = new LedgerInMemory();
    const commit = groupCommitOver(ledger);
    const first = commit.submit(requestOf('a'));
    (await ledger.next()).fail(new Error('broken'));
    expect(await outcomeOf(first)).toBe('broken');
    ledger.auto = true;
    expect(await commit.submit(requestOf('a'))).toMatchObject({ state: 'fresh' });
  });
});

describe('an aborted request', () => {
  const deadline = new AbortReason('deadline');

  test.each([
    ['deadline', 'deadline_exceeded'],
    ['disconnect', 'request_aborted'],
  ] as const)('leaves before its batch is sealed (%s), and has no effect', async (kind, code) => {
    const ledger = new LedgerInMemory();
    const commit = groupCommitOver(ledger);
    const first = commit.submit(requestOf('a'));
    const inFlight = await ledger.next();
    const { exchange: caller } = exchangeOf();
    const leaving = commit.submit(requestOf('b', 3), caller);
    const staying = commit.submit(requestOf('c'));
    caller.abort(new AbortReason(kind));
    await expect(leaving).rejects.toMatchObject({ code });
    expect(commit.stats().waitingItems).toBe(1);
    inFlight.commit();
    (await ledger.next()).commit();
    await Promise.all([first, staying]);
    expect(ledger.batches).toEqual([['a'], ['c']]);
    expect(ledger.applied.has('b')).toBe(false);
  });

  test('leaves before its batch if its connection was lost without a notification', async () => {
    const ledger = new LedgerInMemory();
    const commit = groupCommitOver(ledger);
    const first = commit.submit(requestOf('a'));
    const inFlight = await ledger.next();
    const connection = new AbortController();
    const gone = ['b', 'c', 'd'].map((key) =>
      outcomeOf(commit.submit(requestOf(key), exchangeOf({ signal: connection.signal }).exchange)),
    );
    connection.abort();
    inFlight.commit();
    for (const outcome of await Promise.all(gone)) expect(outcome).toContain('closed the connection');
    await first;
    expect(ledger.batches).toEqual([['a']]);
  });

  test('can be retried with its key immediately', async () => {
    const ledger = new LedgerInMemory();
    const commit = groupCommitOver(ledger);
    const { exchange: caller } = exchangeOf();
    const leaving = commit.submit(requestOf('a'), caller);
    caller.abort(deadline);
    const back = commit.submit(requestOf('a'));
    await expect(leaving).rejects.toMatchObject({ code: 'deadline_exceeded' });
    (await ledger.next()).commit();
    expect(await back).toMatchObject({ state: 'fresh' });
    expect(ledger.batches).toEqual([['a']]);
  });

  test('stays once its batch is sealed, and gets its result', async () => {
    const ledger = new LedgerInMemory();
    const commit = groupCommitOver(ledger);
    const { exchange: caller } = exchangeOf();
    const posted = commit.submit(requestOf('a'), caller);
    const batch = await ledger.next();
    caller.abort(deadline);
    expect(refusalOf(() => commit.submit(requestOf('a'))).code).toBe('idempotency_key_in_progress');
    batch.commit();
    expect(await posted).toMatchObject({ state: 'fresh' });
  });

  test('is refused if aborted before it arrived, and does not hold its key', async () => {
    const ledger = new LedgerInMemory();
    ledger.auto = true;
    const commit = groupCommitOver(ledger);
    const { exchange: aborted } = exchangeOf();
    aborted.abort(deadline);
    expect(refusalOf(() => commit.submit(requestOf('a'), aborted)).code).toBe('deadline_exceeded');
    expect(await commit.submit(requestOf('a'))).toMatchObject({ state: 'fresh' });
  });

  test('leaves an empty queue that keeps working', async () => {
    const ledger = new LedgerInMemory();
    const commit = groupCommitOver(ledger);
    const { exchange: caller } = exchangeOf();
    const leaving = outcomeOf(commit.submit(requestOf('a'), caller));
    caller.abort(deadline);
    await leaving;
    await settled();
    expect(ledger.batches).toEqual([]);
    ledger.auto = true;
    expect(await outcomeOf(commit.submit(requestOf('b')))).toBe('posted');
  });
});

describe('a batch whose reply does not come', () => {
  /** Submits this many requests, and lets the late timers run as if time had passed. */
  function submitLater(commit: ReturnType<typeof groupCommitOver>, count: number, name: string) {
    const posted = Array.from({ length: count }, (_, i) => commit.submit(requestOf(`${name}${i}`)));
    runLateTimers(performance.now() + 1000);
    return posted;
  }

  test('does not hold up the next ones, which run beside it, at most four in all', async () => {
    const ledger = new LedgerInMemory();
    const commit = groupCommitOver(ledger);
    const posted = submitLater(commit, 8, 'a');
    const first = await ledger.next();
    for (const name of ['b', 'c', 'd', 'e']) {
      await Bun.sleep(30);
      posted.push(...submitLater(commit, 8, name));
      await settled();
    }
    expect(ledger.batches.map((keys) => keys[0]!)).toEqual(['a0', 'b0', 'c0', 'd0']);
    expect(commit.stats().waitingItems).toBe(8);
    first.commit();
    for (let i = 0; i < 4; i++) (await ledger.next()).commit();
    const results = await Promise.all(posted);
    expect(results.every(({ state }) => state === 'fresh')).toBe(true);
    expect(ledger.batches.flat().length).toBe(40);
    expect(new Set(ledger.batches.flat()).size).toBe(40);
  });

  test('is waited for by a few requests, for which another batch would gain nothing', async () => {
    const ledger = new LedgerInMemory();
    const commit = groupCommitOver(ledger);
    const posted = [commit.submit(requestOf('a'))];
    const first = await ledger.next();
    await Bun.sleep(30);
    posted.push(...submitLater(commit, 3, 'b'));
    await settled();
    expect(ledger.batches).toEqual([['a']]);
    first.commit();
    (await ledger.next()).commit();
    await Promise.all(posted);
    expect(ledger.batches).toEqual([['a'], ['b0', 'b1', 'b2']]);
  });
});

test('a batch is sealed by a later request if the turn of the event loop does not end', async () => {
  const ledger = new LedgerInMemory();
  const commit = groupCommitOver(ledger);
  const posted = ['a', 'b'].map((key) => commit.submit(requestOf(key)));
  runLateTimers(performance.now() + 10);
  // Microtasks only: the turn goes on.
  for (let hop = 0; hop < 50; hop++) await null;
  expect(ledger.batches).toEqual([['a', 'b']]);
  (await ledger.next()).commit();
  await Promise.all(posted);
});

test('the least time of a batch is that of the fastest of the latest ones', async () => {
  const ledger = new LedgerInMemory();
  const commit = groupCommitOver(ledger);
  expect(commit.leastMs).toBe(0);
  for (const pauseMs of [200, 0]) {
    const posted = commit.submit(requestOf(`pause ${pauseMs}`));
    const batch = await ledger.next();
    await Bun.sleep(pauseMs);
    batch.commit();
    await posted;
    if (pauseMs > 0) expect(commit.leastMs).toBeGreaterThanOrEqual(pauseMs - 1);
  }
  expect(commit.leastMs).toBeLessThan(199);
});

test('the least time of a batch means nothing once the ledger has been quiet', async () => {
  const ledger = new LedgerInMemory();
  const commit = groupCommitOver(ledger);
  const posted = commit.submit(requestOf('a'));
  const batch = await ledger.next();
  await Bun.sleep(10);
  batch.commit();
  await posted;
  expect(commit.leastMs).toBeGreaterThan(0);
  const clock = spyOn(performance, 'now').mockReturnValue(performance.now() + 10_000);
  try {
    expect(commit.leastMs).toBe(0);
  } finally {
    clock.mockRestore();
  }
});
