import fc from 'fast-check';

/** The accounts of a program, by number. All belong to one organization. */
export const ACCOUNTS = [
  { ledger: 'EUR', allowNegative: true },
  { ledger: 'EUR', allowNegative: false },
  { ledger: 'EUR', allowNegative: false },
  { ledger: 'USD', allowNegative: true },
] as const;
/** What the accounts that must not go below zero have at first. */
export const FUNDS = 60;

// Mostly those of one ledger; the last is in another.
const account = fc.oneof(
  { weight: 20, arbitrary: fc.nat({ max: 2 }) },
  { weight: 1, arbitrary: fc.nat({ max: ACCOUNTS.length - 1 }) },
);
const amount = fc.integer({ min: 1, max: 50 });
const part = fc.option(fc.integer({ min: 1, max: 40 }));
// What a call refers to: one of the last that were made before its step.
const back = fc.nat({ max: 3 });
const sides = { debit: account, credit: account, amount };
const transfer = fc.record(sides);

const call = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('transfer' as const), ...sides }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('batch' as const),
      atomic: fc.boolean(),
      transfers: fc.array(transfer, { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('hold' as const),
      ...sides,
      // Few expire, because each adds states in which the ledger may be.
      expiresSoon: fc.integer({ min: 1, max: 5 }).map((n) => n === 1),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('post' as const), back, amount: part, keepRest: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('void' as const), back }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('reverse' as const), back, amount: part, force: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('read' as const), account: fc.nat({ max: 2 }) }) },
  // The same request once more, as after a lost response.
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('replay' as const), back }) },
);
export type DrawnCall = typeof call extends fc.Arbitrary<infer C> ? C : never;

/** Steps of calls; those of a step run at once. */
export const program = fc.array(fc.array(call, { minLength: 1, maxLength: 4 }), {
  minLength: 2,
  maxLength: 8,
  size: 'max',
});
export type Program = typeof program extends fc.Arbitrary<infer P> ? P : never;
