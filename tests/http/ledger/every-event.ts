import { expect } from 'bun:test';
import { AMOUNT_MINOR_MAX } from '../../../src/utils/money.ts';
import { newKey, openAccount, postBatch, postTransfer } from '../../support/ledger-steps.ts';
import type { TestApp } from '../../support/test-app.ts';

const UNUSUAL = 'a\u0001b\u2028c "quoted" \\ 😀 \ud7ff';
const metadata = { [`key ${UNUSUAL}`.slice(0, 40)]: UNUSUAL, empty: '' };

/** Triggers every type of event of the ledger, with the most unusual input that the API accepts. */
export async function triggerEveryEvent(atlas: TestApp): Promise<void> {
  const id = 'FFFFFFFF-0000-0000-0000-00000000000F';
  const bank = await openAccount(atlas, { id, name: UNUSUAL, metadata });
  const alice = await openAccount(atlas, { allowNegative: false, kind: 'expense' });
  const order = { debitAccountId: bank.id, creditAccountId: alice.id, amount: AMOUNT_MINOR_MAX - 10 };
  expect((await postTransfer(atlas, { ...order, reference: UNUSUAL, metadata })).status).toBe(201);
  const transfers = Array.from({ length: 5 }, () => ({ ...order, amount: 1 }));
  expect((await postBatch(atlas, { transfers, atomic: true }, newKey())).status).toBe(200);
}
