import { DEMO } from '../../utils/demo-data.ts';
import { commandActor } from '../actor.ts';
import type { AccountService } from './accounts/service.ts';
import type { TransferService } from './transfers/service.ts';

const OPENING_MINOR = 100_000;

/**
 * Creates the demo accounts, gives two of them 1,000.00 EUR each, and posts a transfer between them that is paid back.
 * Repeating it changes nothing.
 */
export async function createDemoAccounts(
  accounts: AccountService,
  transfers: TransferService,
): Promise<void> {
  const actor = commandActor();
  const content = { ledger: 'EUR', kind: null, metadata: { demo: 'true' } };
  await accounts.open(DEMO.bank, DEMO.owner, { ...content, name: 'Demo bank', allowNegative: true }, actor);
  await accounts.open(DEMO.alice, DEMO.owner, { ...content, name: 'Alice', allowNegative: false }, actor);
  await accounts.open(DEMO.bob, DEMO.owner, { ...content, name: 'Bob', allowNegative: false }, actor);
  const opening = [DEMO.alice, DEMO.bob].map((creditAccountId) => ({
    debitAccountId: DEMO.bank,
    creditAccountId,
    amount: OPENING_MINOR,
    reference: 'opening balance',
  }));
  await transfers.postBatch({ owner: 'seed', key: 'opening-balances', path: 'seed' }, opening, true);
  const { alice, bob } = DEMO;
  const lunch = [
    { id: DEMO.transfer, debitAccountId: alice, creditAccountId: bob, amount: 950, reference: 'lunch' },
    { debitAccountId: bob, creditAccountId: alice, amount: 950, reference: 'lunch, paid back' },
  ];
  await transfers.postBatch({ owner: 'seed', key: 'lunch', path: 'seed' }, lunch, true);
}
