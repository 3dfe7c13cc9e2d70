import { type Command, InvalidArgumentError } from 'commander';
import { commandActor } from '../features/actor.ts';
import type { AccountChange } from '../features/ledger/account.ts';
import type { Features } from '../features.ts';
import { parseId, print, type ReadOptions, reading, show } from './ledger.ts';
import { table } from './output.ts';
import type { WithService } from './session.ts';

type WithLedger = WithService<Features['ledger']>;

/** As given: the parser of the command line would replace null by an empty text. */
type Limit = number | 'none';

interface UpdateOptions extends ReadOptions {
  readonly name?: string;
  readonly balanceMin?: Limit;
  readonly balanceMax?: Limit;
  readonly parent?: string;
  readonly root?: true;
}
interface FreezeOptions extends ReadOptions {
  readonly debits?: true;
  readonly credits?: true;
}
interface ChartOptions extends ReadOptions {
  readonly value?: Readonly<Record<string, string>>;
  readonly parent?: string;
  readonly key?: string;
}

/** Adds the commands that change accounts of an organization. */
export function addAccountChanges(accounts: Command, withLedger: WithLedger): void {
  const changing = (name: string, description: string) =>
    reading(accounts.command(name).description(description)).argument(
      '<id>',
      'the ID of the account',
      parseId,
    );
  const change = (id: string, to: AccountChange, { owner, json }: ReadOptions) =>
    withLedger(async ({ accounts: service }) =>
      show(await service.change(owner, id, 'any', to, commandActor()), json),
    );

  changing('update', 'rename an account, or change its limits or its parent')
    .option('--name <text>', 'its name')
    .option('--balance-min <amount>', 'the least that may be available, in minor units, or none', parseLimit)
    .option('--balance-max <amount>', 'the most that the balance may be, in minor units, or none', parseLimit)
    .option('--parent <id>', 'the account of which it becomes a part', parseId)
    .option('--root', 'take it out of its tree, with all accounts below it')
    .action((id: string, { name, balanceMin, balanceMax, parent, root, ...options }: UpdateOptions) => {
      if (parent !== undefined && root) throw new Error(NOTHING('--parent and --root exclude each other'));
      const to = {
        name,
        balanceMin: balanceMin === 'none' ? null : balanceMin,
        balanceMax: balanceMax === 'none' ? null : balanceMax,
        parentId: root ? null : parent,
      };
      if (Object.values(to).every((value) => value === undefined))
        throw new Error(NOTHING('no change was named'));
      return change(id, to, options);
    });
  for (const isFrozen of [true, false])
    changing(
      isFrozen ? 'freeze' : 'unfreeze',
      isFrozen ? 'stop debits, credits, or both of an account' : 'lift a freeze of an account',
    )
      .option('--debits', 'only debits')
      .option('--credits', 'only credits')
      .action((id: string, { debits, credits, ...options }: FreezeOptions) => {
        const to = {
          ...((debits || !credits) && { debitsFrozen: isFrozen }),
          ...((credits || !debits) && { creditsFrozen: isFrozen }),
        };
        return change(id, to, options);
      });
  for (const isClosed of [true, false])
    changing(
      isClosed ? 'close' : 'reopen',
      isClosed ? 'close an account that has nothing' : 'open a closed account again',
    ).action((id: string, { owner, json }: ReadOptions) =>
      withLedger(async ({ accounts: service }) =>
        show(await service.setClosed(owner, id, 'any', isClosed, commandActor()), json),
      ),
    );
  addChart(accounts, withLedger);
}

function addChart(accounts: Command, withLedger: WithLedger): void {
  reading(accounts.command('chart').description('open all accounts of a template at once'))
    .argument('<template>', 'the name of the template')
    .option(
      '--value <name=text>',
      'a value for a placeholder of the template; repeat it for each',
      parseValue,
    )
    .option('--parent <id>', 'the account that becomes the parent of its roots', parseId)
    .option('--key <key>', 'an Idempotency-Key, so that the command can be repeated')
    .action((template: string, { value = {}, parent, key, owner, json }: ChartOptions) =>
      withLedger(async ({ templates }) => {
        const asked = { template, values: value, parentId: parent ?? null };
        const { result } = await templates.open(owner, asked, commandActor(), undefined, key);
        if (json) return print(result);
        const rows = result.accounts.map((one) => [
          one.ref,
          one.id,
          one.ledger,
          one.name,
          one.parentId ?? '',
        ]);
        console.log(table(['ref', 'id', 'ledger', 'name', 'parent'], rows));
      }),
    );
}

const NOTHING = (why: string) =>
  `The account was not changed.\n  why:  ${why}\n  do:   see npm run -s atlas -- accounts update --help`;

function parseLimit(given: string): Limit {
  if (given === 'none') return given;
  const limit = Number(given);
  if (given.trim() === '' || !Number.isSafeInteger(limit))
    throw new InvalidArgumentError('It must be a whole number of minor units, or none.');
  return limit;
}

function parseValue(given: string, before: Readonly<Record<string, string>> = {}) {
  const [name, ...text] = given.split('=');
  if (!name || text.length === 0) throw new InvalidArgumentError('It must be NAME=TEXT.');
  return { ...before, [name]: text.join('=') };
}
