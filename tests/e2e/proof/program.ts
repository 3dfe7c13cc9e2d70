import fc from 'fast-check';
import type { AccountChange } from './worlds.ts';

/** The accounts of a program, by number. All belong to one organization. `funds`: what they have at first. */
export const ACCOUNTS = [
  { ledger: 'EUR', allowNegative: true, balanceMax: null, funds: 0 },
  { ledger: 'EUR', allowNegative: false, balanceMax: null, funds: 60 },
  { ledger: 'EUR', allowNegative: false, balanceMax: 90, funds: 60 },
  // It can be closed at first.
  { ledger: 'EUR', allowNegative: false, balanceMax: null, funds: 0 },
  { ledger: 'USD', allowNegative: true, balanceMax: null, funds: 0 },
] as const;

// Mostly the first; the last is on another ledger.
const account = fc.oneof(
  { weight: 18, arbitrary: fc.nat({ max: 2 }) },
  { weight: 2, arbitrary: fc.constant(3) },
  { weight: 1, arbitrary: fc.nat({ max: ACCOUNTS.length - 1 }) },
);
const changed = fc.nat({ max: 3 });
const amount = fc.integer({ min: 1, max: 50 });
const part = fc.option(fc.integer({ min: 1, max: 40 }));
// What a call refers to: one of the last that were made before its step.
const back = fc.nat({ max: 3 });
const sides = { debit: account, credit: account, amount };
const transfer = fc.record(sides);
// More that open an account than that stop it, so that most calls are not refused.
const change = fc.constantFrom<AccountChange>(
  { debitsFrozen: true },
  { creditsFrozen: true },
  { closed: true },
  { debitsFrozen: false },
  { debitsFrozen: false },
  { creditsFrozen: false },
  { creditsFrozen: false },
  { closed: false },
  { closed: false },
);
// `isLocal`: of what the set itself makes, if it has made something.
const target = { back, isLocal: fc.boolean() };
const movement = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('transfer' as const), ...sides }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('hold' as const), ...sides }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('post' as const),
      ...target,
      amount: part,
      keepRest: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('void' as const), ...target }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('reverse' as const),
      ...target,
      amount: part,
      force: fc.boolean(),
    }),
  },
);
export type DrawnMovement = typeof movement extends fc.Arbitrary<infer M> ? M : never;

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
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('set' as const),
      movements: fc.array(movement, { minLength: 1, maxLength: 4 }),
    }),
  },
  // A post right after the expiry of one of the holds that expire soon.
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('late' as const), back: fc.nat({ max: 1 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('change' as const), account: changed, change }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('read' as const), account: changed }) },
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
