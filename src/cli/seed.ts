import type { Command } from 'commander';
import type { AccountService } from '../features/ledger/accounts/service.ts';
import type { TransferService } from '../features/ledger/transfers/service.ts';
import type { WithService } from './session.ts';

/** The accounts of the tour in the README. Fixed ids make the seed safe to repeat. */
export const DEMO_ACCOUNTS = {
  bank: '00000000-0000-7000-8000-000000000001',
  alice: '00000000-0000-7000-8000-00000000000a',
  bob: '00000000-0000-7000-8000-00000000000b',
} as const;
// The same owner as that of the first key.
const OWNER = 'owner';
const OPENING_MINOR = 100_000;

/** The services that create the demo data. */
export interface Ledger {
  readonly accounts: AccountService;
  readonly transfers: TransferService;
}

/** Creates the demo accounts and gives two of them 1,000.00 EUR each. Repeating it changes nothing. */
export async function seed({ accounts, transfers }: Ledger): Promise<void> {
  const content = { ledger: 'EUR', kind: null, metadata: { demo: 'true' } };
  await accounts.open(DEMO_ACCOUNTS.bank, OWNER, { ...content, name: 'Demo bank', allowNegative: true });
  await accounts.open(DEMO_ACCOUNTS.alice, OWNER, { ...content, name: 'Alice', allowNegative: false });
  await accounts.open(DEMO_ACCOUNTS.bob, OWNER, { ...content, name: 'Bob', allowNegative: false });
  const opening = [DEMO_ACCOUNTS.alice, DEMO_ACCOUNTS.bob].map((creditAccountId) => ({
    debitAccountId: DEMO_ACCOUNTS.bank,
    creditAccountId,
    amount: OPENING_MINOR,
    reference: 'opening balance',
  }));
  await transfers.postBatch({ owner: 'seed', key: 'opening-balances', path: 'seed' }, opening, true);
}

export function addSeedCommand(program: Command, withLedger: WithService<Ledger>): void {
  program
    .command('seed')
    .description('create the demo accounts; safe to repeat')
    .action(() =>
      withLedger(async (ledger) => {
        await seed(ledger);
        console.log(
          Object.entries(DEMO_ACCOUNTS)
            .map(([name, id]) => `${name.padEnd(6)} ${id}`)
            .join('\n'),
        );
      }),
    );
}
