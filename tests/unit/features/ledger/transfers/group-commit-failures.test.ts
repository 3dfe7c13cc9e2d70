import { afterEach, beforeEach, describe, expect, spyOn, test } from 'bun:test';
import fc from 'fast-check';
import { AbortReason } from '../../../../../src/envelope/exchange.ts';
import { exchangeOf } from '../../../../support/exchange.ts';
import {
  ConnectionLoss,
  groupCommitOver,
  LedgerInMemory,
  outcomeOf,
  requestOf,
} from '../../../../support/ledger-in-memory.ts';
import { refusalOf } from '../../../../support/refusal.ts';

// Waits between attempts end immediately, so no test waits and every run is deterministic.
let sleep: ReturnType<typeof spyOn<typeof Bun, 'sleep'>>;
beforeEach(() => {
  sleep = spyOn(Bun, 'sleep').mockResolvedValue(undefined);
});
afterEach(() => sleep.mockRestore());

describe('a batch that fails', () => {
  test('is bisected until only requests fail that the database cannot process', async () => {
    const ledger = new LedgerInMemory();
    ledger.auto = true;
    ledger.before = (keys) => {
      if (keys.some((key) => key.startsWith('bad'))) throw new Error('chokes');
    };
    const commit = groupCommitOver(ledger);
    const keys = ['a', 'bad1', 'b', 'c', 'd', 'bad2', 'e'];
    const outcomes = await Promise.all(keys.map((key) => outcomeOf(commit.submit(requestOf(key)))));
    expect(outcomes).toEqual(keys.map((key) => (key.startsWith('bad') ? 'chokes' : 'posted')));
    expect([...ledger.applied].sort()).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  test('fails as a whole if the database is unavailable, because bisecting only adds queries', async () => {
    const ledger = new LedgerInMemory();
    ledger.auto = true;
    ledger.before = () => {
      throw new ConnectionLoss();
    };
    const commit = groupCommitOver(ledger);
    const posted = ['a', 'b'].map((key) => commit.submit(requestOf(key)).catch((error: unknown) => error));
    expect(await Promise.all(posted)).toMatchObject([
      { code: 'dependency_unavailable' },
      { code: 'dependency_unavailable' },
    ]);
    expect(ledger.batches).toHaveLength(3);
    expect(commit.stats().retries).toBe(2);
  });

  test('does not stop the batches after it', async () => {
    const ledger = new LedgerInMemory();
    const commit = groupCommitOver(ledger);
    const first = outcomeOf(commit.submit(requestOf('a')));
    const inFlight = await ledger.next();
    const second = outcomeOf(commit.submit(requestOf('b')));
    inFlight.fail(new Error('broken'));
    (await ledger.next()).commit();
    expect([await first, await second]).toEqual(['broken', 'posted']);
  });
});

describe('a batch whose COMMIT was lost', () => {
  test.each([
    ['had taken effect, so its results are replayed', true, 'replayed'],
    ['had not', false, 'fresh'],
  ])('is retried: it %s', async (_, applied, state) => {
    const ledger = new LedgerInMemory();
    const commit = groupCommitOver(ledger);
    const posted = ['a', 'b'].map((key) => commit.submit(requestOf(key)));
    (await ledger.next()).fail(new ConnectionLoss(), applied);
    const again = await ledger.next();
    expect(again.keys).toEqual(['a', 'b']);
    again.commit();
    expect(await Promise.all(posted)).toMatchObject([{ state }, { state }]);
    expect([...ledger.applied]).toEqual(['a', 'b']);
    expect(commit.stats()).toMatchObject({ batches: 1, retries: 1 });
  });

  test('stays in progress during the retry', async () => {
    const ledger = new LedgerInMemory();
    const commit = groupCommitOver(ledger);
    const posted = commit.submit(requestOf('a'));
    (await ledger.next()).fail(new ConnectionLoss());
    const again = await ledger.next();
    expect(refusalOf(() => commit.submit(requestOf('a'))).code).toBe('idempotency_key_in_progress');
    again.commit();
    await posted;
  });
});

test('every request gets its result, whatever arrives, leaves, and fails', async () => {
  const step = fc.record({
    items: fc.integer({ min: 1, max: 4 }),
    abort: fc.boolean(),
    fate: fc.constantFrom('commit', 'lost before', 'lost after', 'choke'),
    pause: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
      const ledger = new LedgerInMemory();
      const commit = groupCommitOver(ledger, { batch: 6, waiting: 1000 });
      const fates = steps.map(({ fate }) => fate);
      let settledCount = 0;
      const outcomes = steps.map(async ({ items, abort, pause }, i) => {
        if (pause) await Promise.resolve();
        const { exchange: caller } = exchangeOf();
        const posted = commit.submit(requestOf(`k${i}`, items), caller);
        if (abort) queueMicrotask(() => caller.abort(new AbortReason('deadline')));
        const outcome = await outcomeOf(posted);
        settledCount++;
        return [`k${i}`, outcome] as const;
      });
      for (let turn = 0; settledCount < steps.length; turn++) {
        // Each turn of the loop ends at most one transaction, with one of the possible outcomes.
        await new Promise((resolve) => setImmediate(resolve));
        const batch = ledger.open.shift();
        const fate = fates[turn % fates.length];
        if (fate === 'lost before') batch?.fail(new ConnectionLoss());
        else if (fate === 'lost after') batch?.fail(new ConnectionLoss(), true);
        else if (fate === 'choke' && (batch?.keys.length ?? 0) > 1) batch?.fail(new Error('chokes'));
        else batch?.commit();
      }
      for (const [key, outcome] of await Promise.all(outcomes)) {
        if (outcome === 'posted') expect(ledger.applied.has(key)).toBe(true);
        if (outcome.startsWith('The deadline passed')) expect(ledger.applied.has(key)).toBe(false);
      }
      expect(commit.stats().waitingItems).toBe(0);
      expect(ledger.open).toEqual([]);
    }),
    { numRuns: 60, seed: 15 },
  );
});
