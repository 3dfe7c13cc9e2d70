import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { Bulkhead, BulkheadFull } from '../../../src/resilience/bulkhead.ts';
import { TIERS, type Tier } from '../../../src/utils/tier.ts';

const PATIENT = { timeoutMs: 60_000 };

/** Enters, and writes down in which order those who waited got in. */
function enter(bulkhead: Bulkhead, tier: Tier, name: string, order: string[]): void {
  void bulkhead.enter(tier, PATIENT)?.then(() => order.push(name));
}

test('as many as may are let in at once, as many wait as may, and the next is refused at once', async () => {
  const bulkhead = new Bulkhead({ concurrencyMax: 2, waitingMax: 1 });
  expect(bulkhead.enter('default', PATIENT)).toBeNull();
  expect(bulkhead.enter('default', PATIENT)).toBeNull();
  const waiting = bulkhead.enter('default', PATIENT);
  expect(() => bulkhead.enter('default', PATIENT)).toThrow(BulkheadFull);
  expect(bulkhead).toMatchObject({ inFlight: 2, waiting: 1 });
  bulkhead.leave('default');
  await waiting;
  expect(bulkhead).toMatchObject({ inFlight: 2, waiting: 0 });
});

test('critical calls go first, each tier in its order', async () => {
  const bulkhead = new Bulkhead({ concurrencyMax: 1, waitingMax: 9 });
  const order: string[] = [];
  bulkhead.enter('default', PATIENT);
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

test('non-critical calls may take half of the slots and of the places in line; the rest is for the others', () => {
  const bulkhead = new Bulkhead({ concurrencyMax: 4, waitingMax: 2 });
  expect(bulkhead.enter('non-critical', PATIENT)).toBeNull();
  expect(bulkhead.enter('non-critical', PATIENT)).toBeNull();
  expect(bulkhead.enter('non-critical', PATIENT)).not.toBeNull();
  expect(() => bulkhead.enter('non-critical', PATIENT)).toThrow(BulkheadFull);
  expect(bulkhead.enter('critical', PATIENT)).toBeNull();
  expect(bulkhead.enter('default', PATIENT)).toBeNull();
  expect(bulkhead).toMatchObject({ inFlight: 4, waiting: 1 });
});

test('even where there is one slot, a non-critical call gets in', () => {
  expect(new Bulkhead({ concurrencyMax: 1, waitingMax: 0 }).enter('non-critical', PATIENT)).toBeNull();
});

test('who gives up leaves the line, and the slot goes to the next', async () => {
  const bulkhead = new Bulkhead({ concurrencyMax: 1, waitingMax: 9 });
  const order: string[] = [];
  const patience = new AbortController();
  bulkhead.enter('default', PATIENT);
  const first = bulkhead.enter('default', { signal: patience.signal, timeoutMs: 60_000 });
  enter(bulkhead, 'default', 'second', order);
  patience.abort(new Error('enough'));
  await expect(first).rejects.toThrow('enough');
  expect(bulkhead.waiting).toBe(1);
  bulkhead.leave('default');
  await Promise.resolve();
  expect(order).toEqual(['second']);
});

test('nobody waits longer than told', async () => {
  const bulkhead = new Bulkhead({ concurrencyMax: 1, waitingMax: 9 });
  bulkhead.enter('default', PATIENT);
  await expect(bulkhead.enter('default', { timeoutMs: 1 })).rejects.toBeInstanceOf(BulkheadFull);
  expect(bulkhead.waiting).toBe(0);
});

test('all who wait can be sent away; who is inside stays', async () => {
  const bulkhead = new Bulkhead({ concurrencyMax: 1, waitingMax: 9 });
  bulkhead.enter('default', PATIENT);
  const waiting = TIERS.map((tier) => bulkhead.enter(tier, PATIENT));
  bulkhead.refuseWaiting(new Error('it is gone'));
  for (const turn of waiting) await expect(turn).rejects.toThrow('it is gone');
  expect(bulkhead).toMatchObject({ inFlight: 1, waiting: 0 });
});

const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ enter: fc.constantFrom(...TIERS) }) },
  { weight: 4, arbitrary: fc.record({ leave: fc.nat(1000) }) },
  { weight: 2, arbitrary: fc.record({ abort: fc.nat(1000) }) },
  { weight: 1, arbitrary: fc.constant({ refuse: true }) },
);

test('whatever comes and goes: never too many inside or in line, no slot lost, and none free while somebody may have it', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 6 }),
      fc.nat(4),
      fc.array(step, { maxLength: 80 }),
      async (concurrencyMax, waitingMax, steps) => {
        const bulkhead = new Bulkhead({ concurrencyMax, waitingMax });
        const nonCriticalMax = Math.max(1, Math.floor(concurrencyMax / 2));
        const inside: Tier[] = [];
        const waiting: { tier: Tier; give: AbortController; isOut: boolean }[] = [];
        const inLine = (tier: Tier) => waiting.filter((one) => one.tier === tier && !one.isOut).length;
        const count = (tier: Tier) => inside.filter((one) => one === tier).length;
        for (const next of steps) {
          if ('enter' in next) {
            const tier = next.enter;
            const give = new AbortController();
            try {
              const turn = bulkhead.enter(tier, { signal: give.signal, timeoutMs: 60_000 });
              if (turn === null) inside.push(tier);
              else {
                const one = { tier, give, isOut: false };
                waiting.push(one);
                turn
                  .then(() => inside.push(tier))
                  .catch(() => {})
                  .finally(() => {
                    one.isOut = true;
                  });
              }
            } catch (error) {
              expect(error).toBeInstanceOf(BulkheadFull);
            }
          } else if ('leave' in next && inside.length > 0)
            bulkhead.leave(inside.splice(next.leave % inside.length, 1)[0]!);
          else if ('abort' in next && waiting.length > 0)
            waiting[next.abort % waiting.length]!.give.abort(new Error('enough'));
          else if ('refuse' in next) bulkhead.refuseWaiting(new Error('away'));
          for (let turn = 0; turn < 4; turn++) await Promise.resolve();

          expect(inside.length).toBe(bulkhead.inFlight);
          expect(inside.length).toBeLessThanOrEqual(concurrencyMax);
          expect(count('non-critical')).toBeLessThanOrEqual(nonCriticalMax);
          for (const tier of TIERS) expect(inLine(tier)).toBeLessThanOrEqual(waitingMax);
          expect(inLine('critical') + inLine('default') + inLine('non-critical')).toBe(bulkhead.waiting);
          if (inside.length < concurrencyMax) {
            expect(inLine('critical') + inLine('default')).toBe(0);
            if (count('non-critical') < nonCriticalMax) expect(inLine('non-critical')).toBe(0);
          }
        }
        bulkhead.refuseWaiting(new Error('the end'));
      },
    ),
    { numRuns: 300 },
  );
});
