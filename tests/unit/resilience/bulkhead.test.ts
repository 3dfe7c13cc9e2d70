import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { Bulkhead, BulkheadFull } from '../../../src/resilience/bulkhead.ts';
import { TIERS, type Tier } from '../../../src/utils/tier.ts';

// Longer than any run of tests, so that nobody who is left waiting is refused later.
const WAIT = { timeoutMs: 2_000_000_000 };

/** Enters, and records the order in which waiters are admitted. */
function enter(bulkhead: Bulkhead, tier: Tier, name: string, order: string[]): void {
  void bulkhead.enter(tier, WAIT)?.then(() => order.push(name));
}

test('calls run up to the concurrency limit, queue up to the queue limit, and are then refused immediately', async () => {
  const bulkhead = new Bulkhead({ concurrencyMax: 2, waitingMax: 1 });
  expect(bulkhead.enter('default', WAIT)).toBeNull();
  expect(bulkhead.enter('default', WAIT)).toBeNull();
  const waiting = bulkhead.enter('default', WAIT);
  expect(() => bulkhead.enter('default', WAIT)).toThrow(BulkheadFull);
  expect(bulkhead).toMatchObject({ inFlight: 2, waiting: 1 });
  bulkhead.leave('default');
  await waiting;
  expect(bulkhead).toMatchObject({ inFlight: 2, waiting: 0 });
});

test('critical calls go first, and each tier is FIFO', async () => {
  const bulkhead = new Bulkhead({ concurrencyMax: 1, waitingMax: 9 });
  const order: string[] = [];
  void bulkhead.enter('default', WAIT);
  for (const [tier, name] of [
    ['non-critical', 'n1'],
    ['default', 'd1'],
    ['critical', 'c1'],
    ['default', 'd2'],
    ['critical', 'c2'],
  ] as const)
    enter(bulkhead, tier, name, order);
  for (const tier of ['default', 'critical', 'critical', 'default', 'default'] as const) {
    bulkhead.leave(tier);
    await Promise.resolve();
  }
  expect(order).toEqual(['c1', 'c2', 'd1', 'd2', 'n1']);
});

test('non-critical calls may use half of the slots and of the queue; the rest is for the others', () => {
  const bulkhead = new Bulkhead({ concurrencyMax: 4, waitingMax: 2 });
  expect(bulkhead.enter('non-critical', WAIT)).toBeNull();
  expect(bulkhead.enter('non-critical', WAIT)).toBeNull();
  expect(bulkhead.enter('non-critical', WAIT)).not.toBeNull();
  expect(() => bulkhead.enter('non-critical', WAIT)).toThrow(BulkheadFull);
  expect(bulkhead.enter('critical', WAIT)).toBeNull();
  expect(bulkhead.enter('default', WAIT)).toBeNull();
  expect(bulkhead).toMatchObject({ inFlight: 4, waiting: 1 });
});

test('a non-critical call is admitted even if there is only one slot', () => {
  expect(new Bulkhead({ concurrencyMax: 1, waitingMax: 0 }).enter('non-critical', WAIT)).toBeNull();
});

test('a waiter that aborts leaves the queue, and the slot goes to the next', async () => {
  const bulkhead = new Bulkhead({ concurrencyMax: 1, waitingMax: 9 });
  const order: string[] = [];
  const caller = new AbortController();
  void bulkhead.enter('default', WAIT);
  const first = bulkhead.enter('default', { signal: caller.signal, ...WAIT });
  enter(bulkhead, 'default', 'second', order);
  caller.abort(new Error('aborted'));
  await expect(first).rejects.toThrow('aborted');
  expect(bulkhead.waiting).toBe(1);
  bulkhead.leave('default');
  await Promise.resolve();
  expect(order).toEqual(['second']);
});

test('a waiter is refused at its timeout', async () => {
  const bulkhead = new Bulkhead({ concurrencyMax: 1, waitingMax: 9 });
  void bulkhead.enter('default', WAIT);
  await expect(bulkhead.enter('default', { timeoutMs: 1 })).rejects.toBeInstanceOf(BulkheadFull);
  expect(bulkhead.waiting).toBe(0);
});

test('all waiters can be refused, while running calls continue', async () => {
  const bulkhead = new Bulkhead({ concurrencyMax: 1, waitingMax: 9 });
  void bulkhead.enter('default', WAIT);
  const waiting = TIERS.map((tier) => bulkhead.enter(tier, WAIT));
  bulkhead.refuseWaiting(new Error('unavailable'));
  for (const turn of waiting) await expect(turn).rejects.toThrow('unavailable');
  expect(bulkhead).toMatchObject({ inFlight: 1, waiting: 0 });
});

const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ enter: fc.constantFrom(...TIERS) }) },
  { weight: 4, arbitrary: fc.record({ leave: fc.nat(1000) }) },
  { weight: 2, arbitrary: fc.record({ abort: fc.nat(1000) }) },
  { weight: 1, arbitrary: fc.constant({ refuse: true }) },
);

test('in any sequence, both limits hold, no slot is lost, and none is free while a waiter may use it', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 6 }),
      fc.nat(4),
      fc.array(step, { maxLength: 80 }),
      async (concurrencyMax, waitingMax, steps) => {
        const bulkhead = new Bulkhead({ concurrencyMax, waitingMax });
        const nonCriticalMax = Math.max(1, Math.floor(concurrencyMax / 2));
        const running: Tier[] = [];
        const waiting: { tier: Tier; caller: AbortController; isDone: boolean }[] = [];
        const queued = (tier: Tier) => waiting.filter((one) => one.tier === tier && !one.isDone).length;
        const count = (tier: Tier) => running.filter((one) => one === tier).length;
        for (const next of steps) {
          if ('enter' in next) {
            const tier = next.enter;
            const caller = new AbortController();
            try {
              const turn = bulkhead.enter(tier, { signal: caller.signal, ...WAIT });
              if (turn === null) running.push(tier);
              else {
                const one = { tier, caller, isDone: false };
                waiting.push(one);
                turn
                  .then(() => running.push(tier))
                  .catch(() => {})
                  .finally(() => {
                    one.isDone = true;
                  });
              }
            } catch (error) {
              expect(error).toBeInstanceOf(BulkheadFull);
            }
          } else if ('leave' in next && running.length > 0)
            bulkhead.leave(running.splice(next.leave % running.length, 1)[0]!);
          else if ('abort' in next && waiting.length > 0)
            waiting[next.abort % waiting.length]!.caller.abort(new Error('aborted'));
          else if ('refuse' in next) bulkhead.refuseWaiting(new Error('unavailable'));
          for (let turn = 0; turn < 4; turn++) await Promise.resolve();

          expect(running.length).toBe(bulkhead.inFlight);
          expect(running.length).toBeLessThanOrEqual(concurrencyMax);
          expect(count('non-critical')).toBeLessThanOrEqual(nonCriticalMax);
          for (const tier of TIERS) expect(queued(tier)).toBeLessThanOrEqual(waitingMax);
          expect(queued('critical') + queued('default') + queued('non-critical')).toBe(bulkhead.waiting);
          if (running.length < concurrencyMax) {
            expect(queued('critical') + queued('default')).toBe(0);
            if (count('non-critical') < nonCriticalMax) expect(queued('non-critical')).toBe(0);
          }
        }
        bulkhead.refuseWaiting(new Error('the end'));
      },
    ),
    { numRuns: 300 },
  );
});
