import { expect, test } from 'bun:test';
import { balanceOf } from '../../../../src/features/ledger/account.ts';
import { AMOUNT_MINOR_MAX } from '../../../../src/utils/money.ts';

test.each([
  [0, 0, 0],
  [30, 100, 70],
  [100, 30, -70],
  [AMOUNT_MINOR_MAX, 0, -AMOUNT_MINOR_MAX],
  [AMOUNT_MINOR_MAX, AMOUNT_MINOR_MAX, 0],
])('debits of %d and credits of %d are a balance of %d', (debitsPosted, creditsPosted, balance) => {
  expect(balanceOf({ debitsPosted, creditsPosted })).toBe(balance);
});
