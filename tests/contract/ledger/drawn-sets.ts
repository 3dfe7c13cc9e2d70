import fc from 'fast-check';
import { type FixedSide, ROUNDINGS } from '../../../src/features/ledger/exchange.ts';
import type { MovementAccount } from './movement-model.ts';

const OPEN = { debitsFrozen: false, creditsFrozen: false, closed: false };
const EMPTY = { debits: 0, credits: 0, debitsPending: 0, creditsPending: 0 };
const account = (owner: string, ledger: string, rest: Partial<MovementAccount> = {}): MovementAccount => {
  return { ledger, owner, acceptsFrom: ['*'], floor: 0, ceiling: null, ...OPEN, ...EMPTY, ...rest };
};
/** Those of Ann first: her bank, a payer, and where euros and dollars are exchanged. */
export const ACCOUNTS = [
  account('ann', 'EUR', { floor: null }),
  account('ann', 'EUR'),
  account('ann', 'EUR', { floor: null }),
  account('ann', 'USD', { floor: -60 }),
  account('ann', 'USD'),
  account('bob', 'EUR', { ceiling: 80 }),
  account('bob', 'USD', { ceiling: 60 }),
];
const number = fc.nat({ max: ACCOUNTS.length - 1 });
const mostly = (usual: number) =>
  fc.oneof({ weight: 8, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: number });
const amount = fc.integer({ min: 1, max: 40 });
const part = fc.option(fc.integer({ min: 1, max: 20 }));
const euros = fc.nat({ max: 2 });
const sides = { debit: mostly(1), credit: fc.oneof(euros, mostly(5)), amount };
// Of this set or, counted from the last, of all before.
const target = { isLocal: fc.boolean(), back: fc.nat({ max: 3 }) };
const kind = <T extends string>(type: T) => fc.constant(type);
const movement = fc.oneof(
  { weight: 2, arbitrary: fc.record({ type: kind('transfer'), ...sides }) },
  { weight: 3, arbitrary: fc.record({ type: kind('hold'), ...sides }) },
  {
    weight: 3,
    arbitrary: fc.record({ type: kind('post'), ...target, amount: part, keepRest: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ type: kind('void'), ...target }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: kind('reverse'), ...target, amount: part, force: fc.boolean() }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: kind('exchange'),
      flow: fc.tuple(mostly(1), mostly(2), mostly(3), fc.oneof(mostly(4), mostly(6))),
      fixedSide: fc.constantFrom<FixedSide>('source', 'target'),
      amount,
      rate: fc.constantFrom('1', '1.5', '0.75', '2.4999', '0.333333333333'),
      rounding: fc.constantFrom(...ROUNDINGS),
    }),
  },
);
const set = fc.record({
  owner: fc.constantFrom('ann', 'ann', 'ann', 'bob'),
  movements: fc.array(movement, { minLength: 1, maxLength: 4 }),
  /** Sent by a second caller at the same time, or instead: the last one again. */
  again: fc.constantFrom('no', 'no', 'no', 'now', 'later'),
});
/** Steps of sets that are sent at once. */
export const program = fc.array(fc.array(set, { minLength: 1, maxLength: 3 }), {
  minLength: 1,
  maxLength: 8,
  size: 'max',
});
/** A set of a program. */
export type Drawn = (typeof set extends fc.Arbitrary<infer S> ? S : never) & object;
