import { expect } from 'bun:test';
import { AMOUNT_MINOR_MAX } from '../../../src/utils/money.ts';
import { changeAccount, setClosed } from '../../support/account-steps.ts';
import { newKey, openAccount, postBatch, postTransfer } from '../../support/ledger-steps.ts';
import { holdMoney, postHold, postKeyed, readHold } from '../../support/movement-steps.ts';
import { openExchangeAccounts, postSet } from '../../support/set-steps.ts';
import type { TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';

const UNUSUAL = 'a\u0001b\u2028c "quoted" \\ 😀 \ud7ff';
const metadata = { [`key ${UNUSUAL}`.slice(0, 40)]: UNUSUAL, empty: '' };

/** Triggers every type of event of the ledger, with the most unusual input that the API accepts. */
export async function triggerEveryEvent(atlas: TestApp): Promise<void> {
  const id = 'FFFFFFFF-0000-0000-0000-00000000000F';
  const bank = await openAccount(atlas, { id, name: UNUSUAL, metadata });
  const alice = await openAccount(atlas, { allowNegative: false, kind: 'expense' });
  const order = { debitAccountId: bank.id, creditAccountId: alice.id, amount: AMOUNT_MINOR_MAX - 10 };
  expect((await postTransfer(atlas, { ...order, reference: UNUSUAL, metadata })).status).toBe(201);
  const held = { debitAccountId: bank.id, creditAccountId: alice.id, amount: 2 };
  const expiring = await holdMoney(atlas, { ...held, expiresInSeconds: 1, reference: UNUSUAL, metadata });
  const hold = await holdMoney(atlas, held);
  await postHold(atlas, hold.id, { amount: 1, keepRest: true, reference: UNUSUAL, metadata });
  expect((await postKeyed(atlas, `/v1/holds/${hold.id}/void`)).status).toBe(200);
  const release = atlas.jobs.find(({ name }) => name === 'release expired holds')!;
  await until(async () => {
    await release.run();
    return (await readHold(atlas, expiring.id)).state === 'expired';
  });
  const change = { metadata, balanceMin: -AMOUNT_MINOR_MAX, parentId: null, creditsFrozen: true };
  expect((await changeAccount(atlas, bank.id, change)).status).toBe(200);
  const { id: empty } = await openAccount(atlas, { name: UNUSUAL, parentId: alice.id, balanceMax: 0 });
  for (const verb of ['close', 'reopen'] as const)
    expect((await setClosed(atlas, empty, verb)).status).toBe(200);
  const exchange = { ...(await openExchangeAccounts(atlas)), debitAccountId: bank.id };
  await postSet(atlas, [
    {
      type: 'exchange',
      ...exchange,
      sourceAmount: 1,
      rate: '999999999.999999999999',
      reference: UNUSUAL,
      metadata,
    },
    { type: 'exchange', ...exchange, targetAmount: 1, rate: '0.999999999999' },
  ]);
  const transfers = Array.from({ length: 5 }, () => ({ ...order, amount: 1 }));
  expect((await postBatch(atlas, { transfers, atomic: true }, newKey())).status).toBe(200);
}
