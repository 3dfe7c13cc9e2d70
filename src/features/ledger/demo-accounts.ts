import { AtlasError } from '../../errors.ts';
import { DEMO, DEMO_TEMPLATE, DEMO_TEMPLATES } from '../../utils/demo-data.ts';
import { commandActor } from '../actor.ts';
import { toNewTemplate } from './account-template.ts';
import type { AccountService } from './accounts/service.ts';
import { EXPIRY_SECONDS_MAX } from './hold.ts';
import type { HoldService } from './holds/service.ts';
import type { SetService } from './sets/service.ts';
import type { RequestIdentity } from './submit.ts';
import type { TemplateService } from './templates/service.ts';
import type { TransferService } from './transfers/service.ts';

const OPENING_MINOR = 100_000;
const HELD_MINOR = 5_000;
const EXCHANGED_MINOR = 10_000;

/**
 * Creates the demo accounts, gives two of them 1,000.00 EUR each, posts a transfer between them that is paid back, and
 * exchanges euros for dollars; and creates the demo templates. Repeating it changes nothing.
 */
export async function createDemoAccounts(
  { accounts, templates }: { readonly accounts: AccountService; readonly templates: TemplateService },
  transfers: TransferService,
  holds: HoldService,
  sets: SetService,
): Promise<void> {
  const actor = commandActor();
  const content = { kind: null, metadata: { demo: 'true' } };
  const open = (id: string, name: string, allowNegative: boolean, ledger = 'EUR') =>
    accounts.open(id, DEMO.owner, { ...content, ledger, name, allowNegative }, actor);
  await open(DEMO.bank, 'Demo bank', true);
  const { account } = await open(DEMO.alice, 'Alice', false);
  await open(DEMO.bob, 'Bob', false);
  await open(DEMO.spareAccount, 'Savings', false);
  await createDemoTemplates(templates);
  const { alice, bob } = DEMO;
  // The key alone does not do: releases before posted these under another one.
  if (account.version === 0) {
    const opening = [alice, bob].map((creditAccountId) => ({
      debitAccountId: DEMO.bank,
      creditAccountId,
      amount: OPENING_MINOR,
      reference: 'opening balance',
    }));
    await transfers.postBatch(identityOf('opening-balances'), opening, true);
  }
  await holdDinner(holds);
  await open(DEMO.euroLiquidity, 'Euros to exchange', true);
  await open(DEMO.dollarLiquidity, 'Dollars to exchange', true, 'USD');
  await open(DEMO.aliceDollars, 'Alice, dollars', false, 'USD');
  await exchangeDollars(sets);
  if (await isPosted(transfers, DEMO.transfer)) return;
  const lunch = [
    { id: DEMO.transfer, debitAccountId: alice, creditAccountId: bob, amount: 950, reference: 'lunch' },
    { debitAccountId: bob, creditAccountId: alice, amount: 950, reference: 'lunch, paid back' },
  ];
  await transfers.postBatch(identityOf('lunch'), lunch, true);
}

/** Reserves money of Alice, once. */
async function holdDinner(holds: HoldService): Promise<void> {
  const dinner = { debitAccountId: DEMO.alice, creditAccountId: DEMO.bob, amount: HELD_MINOR };
  for (const [id, reference] of [
    [DEMO.hold, 'dinner'],
    [DEMO.spareHold, 'taxi'],
  ] as const) {
    const hold = { ...dinner, expiresInSeconds: EXPIRY_SECONDS_MAX, reference };
    await holds.create(identityOf(`hold for ${reference}`), hold, undefined, id);
  }
}

/** Gives Alice dollars for euros of the bank, once. */
async function exchangeDollars(sets: SetService): Promise<void> {
  const exchange = {
    type: 'exchange',
    debitAccountId: DEMO.bank,
    sourceLiquidityAccountId: DEMO.euroLiquidity,
    targetLiquidityAccountId: DEMO.dollarLiquidity,
    creditAccountId: DEMO.aliceDollars,
    sourceAmount: EXCHANGED_MINOR,
    rate: '1.08345',
    reference: 'travel money',
  } as const;
  const ids = { exchange: DEMO.exchange, sourceTransfer: DEMO.exchangeTransfer };
  await sets.post(identityOf('exchange'), [exchange], undefined, ids);
}

function identityOf(step: string): RequestIdentity {
  return { owner: DEMO.owner, key: `atlas seed: ${step}`, path: 'seed' };
}

async function isPosted(transfers: TransferService, id: string): Promise<boolean> {
  try {
    await transfers.find(DEMO.owner, id);
    return true;
  } catch (error) {
    if (error instanceof AtlasError && error.code === 'transfer_not_found') return false;
    throw error;
  }
}

/** Saves the demo templates. Those that were changed stay as they are. */
async function createDemoTemplates(templates: TemplateService): Promise<void> {
  for (const name of Object.values(DEMO_TEMPLATES)) {
    const template = toNewTemplate(name, DEMO_TEMPLATE);
    try {
      await templates.save(DEMO.owner, template, undefined, commandActor());
    } catch (error) {
      if (!(error instanceof AtlasError && error.code === 'precondition_required')) throw error;
    }
  }
}
