import { type Command, InvalidArgumentError } from 'commander';
import { commandActor } from '../features/actor.ts';
import type { Features } from '../features.ts';
import { addAccountChanges } from './account-changes.ts';
import { addAccountReads } from './ledger.ts';
import { plural } from './output.ts';
import type { WithService } from './session.ts';

interface ReassignOptions {
  readonly to: string;
  readonly from: string;
  readonly yes?: true;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const IDS_MAX = 1000;
const IDS_SHOWN_MAX = 5;

export function addAccountsCommand(program: Command, withLedger: WithService<Features['ledger']>): void {
  const accounts = program
    .command('accounts')
    .description('show and change accounts, or give them to another organization');
  addAccountReads(accounts, withLedger);
  addAccountChanges(accounts, withLedger);

  accounts
    .command('reassign')
    .description(
      'give accounts to another organization: those named, or all from before accounts had an owner',
    )
    .argument('[ids...]', 'IDs of accounts, at most 1,000', parseId)
    .requiredOption('--to <organization>', 'the organization that gets the accounts')
    .option('--from <organization>', 'the organization that has them', 'owner')
    .option('--yes', 'do it; without it, the command only says what it would do')
    .action((ids: string[], { to, from, yes }: ReassignOptions) =>
      withLedger(async ({ reassignment }) => {
        if (ids.length > IDS_MAX)
          throw new Error(
            `No account was moved.\n  why:  ${ids.length} IDs are more than the ${IDS_MAX} of one call\n  do:   call it several times`,
          );
        const chosen = { from, ids: ids.length === 0 ? null : ids };
        const { accounts: count, missing } = await reassignment.preview(chosen, to);
        if (missing.length > 0) throw new Error(missingText(missing, from));
        if (count === 0)
          return console.log(
            ids.length > 0
              ? `They belong to ${to} already.`
              : `${from} has no accounts from before accounts had an owner. Name accounts by their IDs.`,
          );
        const what = `${plural(count, 'account')} from ${from} to ${to}`;
        if (!yes)
          return console.log(
            `This would move ${what}, with their balances and transfers. Their events so far stay with ${from}. To do it, add --yes.`,
          );
        console.log(
          `Moved ${plural(await reassignment.run(chosen, to, commandActor()), 'account')} from ${from} to ${to}.`,
        );
      }),
    );
}

function parseId(given: string, before: readonly string[] | undefined): string[] {
  const id = given.toLowerCase();
  if (!UUID.test(id)) throw new InvalidArgumentError('It must be the UUID of an account.');
  return [...(before ?? []), id];
}

function missingText(missing: readonly string[], from: string): string {
  const more = missing.length > IDS_SHOWN_MAX ? `, and ${missing.length - IDS_SHOWN_MAX} more` : '';
  return `No account was moved.\n  why:  ${from} has no account ${missing.slice(0, IDS_SHOWN_MAX).join(', ')}${more}\n  do:   check the IDs, or name the organization that has them with --from`;
}
