import { type Command, InvalidArgumentError, Option } from 'commander';
import { ACCOUNT_FIELDS, type Fields, type Filter, TRANSFER_FIELDS } from '../features/ledger/filter.ts';
import { HOLD_STATES, type HoldState } from '../features/ledger/hold.ts';
import { filterNames, readQueryFilters } from '../features/ledger/query-filters.ts';
import type { Features } from '../features.ts';
import { table } from './output.ts';
import type { WithService } from './session.ts';

type WithLedger = WithService<Features['ledger']>;

/** Whose, and how it is printed. */
export interface ReadOptions {
  readonly owner: string;
  readonly json?: true;
}
interface FilterOptions {
  readonly filter?: Filter;
}
interface ListOptions extends ReadOptions {
  readonly limit: number;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const LIMIT_MAX = 200;
const LIMIT_DEFAULT = 50;

/** Adds `list` and `show` to the command of accounts. */
export function addAccountReads(accounts: Command, withLedger: WithLedger): void {
  filtering(
    listing(accounts.command('list').description('list the accounts of an organization, oldest first')),
    ACCOUNT_FIELDS,
  ).action(({ owner, json, limit, filter }: ListOptions & FilterOptions) =>
    withLedger(async ({ accounts: service, search }) => {
      const { accounts: found } =
        filter === undefined
          ? await service.list(owner, null, limit)
          : await search.accounts({ owner, filter, order: 'oldest first', after: null, limit });
      if (json) return print(found);
      const rows = found.map((one) => [
        one.id,
        one.ledger,
        one.creditsPosted - one.debitsPosted,
        one.debitsPending,
        one.name ?? '',
      ]);
      console.log(table(['id', 'ledger', 'balance', 'reserved', 'name'], rows));
    }),
  );
  reading(accounts.command('show').description('show an account with its balance'))
    .argument('<id>', 'the ID of the account', parseId)
    .action((id: string, { owner, json }: ReadOptions) =>
      withLedger(async ({ accounts: service }) => show(await service.find(owner, id), json)),
    );
}

export function addTransfersCommand(program: Command, withLedger: WithLedger): void {
  const transfers = program.command('transfers').description('show transfers');
  listing(transfers.command('list').description('list the transfers of an account, newest first'))
    .argument('<account>', 'the ID of the account', parseId)
    .action((account: string, { owner, json, limit }: ListOptions) =>
      withLedger(async ({ transfers: service }) => {
        const page = await service.listByAccount(owner, account, null, limit);
        if (json) return print(page.transfers);
        const rows = page.transfers.map((one) => [
          one.id,
          one.debitAccountId === account ? 'out' : 'in',
          one.amount,
          one.createdAt,
          one.reference ?? '',
        ]);
        console.log(table(['id', 'way', 'amount', 'posted', 'reference'], rows));
      }),
    );
  addTransferSearch(transfers, withLedger);
  reading(transfers.command('show').description('show a transfer'))
    .argument('<id>', 'the ID of the transfer', parseId)
    .action((id: string, { owner, json }: ReadOptions) =>
      withLedger(async ({ transfers: service }) => show(await service.find(owner, id), json)),
    );
}

function addTransferSearch(transfers: Command, withLedger: WithLedger): void {
  filtering(
    listing(transfers.command('search').description('find transfers of an organization, newest first')),
    TRANSFER_FIELDS,
  ).action(({ owner, json, limit, filter }: ListOptions & FilterOptions) =>
    withLedger(async ({ search }) => {
      const asked = { owner, filter: filter ?? null, order: 'newest first', after: null, limit } as const;
      const { transfers: found, asOf, next } = await search.transfers(asked);
      if (json) return print(found);
      const rows = found.map((one) => [
        one.id,
        one.debitAccountId,
        one.creditAccountId,
        one.amount,
        one.createdAt,
        one.reference ?? '',
      ]);
      console.log(table(['id', 'from', 'to', 'amount', 'posted', 'reference'], rows));
      console.error(`Complete up to ${asOf}.${next === null ? '' : ' There may be more: search for less.'}`);
    }),
  );
}

export function addHoldsCommand(program: Command, withLedger: WithLedger): void {
  const holds = program.command('holds').description('show holds');
  listing(holds.command('list').description('list the holds of an account, newest first'))
    .argument('<account>', 'the ID of the account', parseId)
    .addOption(new Option('--state <state>', 'only holds in this state').choices([...HOLD_STATES]))
    .action((account: string, { owner, json, limit, state }: ListOptions & { state?: HoldState }) =>
      withLedger(async ({ holds: service }) => {
        const page = await service.listByAccount(owner, account, state ?? null, null, limit);
        if (json) return print(page.holds);
        const rows = page.holds.map((one) => [
          one.id,
          one.state,
          one.amount,
          one.posted,
          one.remaining,
          one.expiresAt,
        ]);
        console.log(table(['id', 'state', 'amount', 'posted', 'reserved', 'expires'], rows));
      }),
    );
  reading(holds.command('show').description('show a hold'))
    .argument('<id>', 'the ID of the hold', parseId)
    .action((id: string, { owner, json }: ReadOptions) =>
      withLedger(async ({ holds: service }) => show(await service.find(owner, id), json)),
    );
}

export function addLimitsCommand(program: Command, withLedger: WithLedger): void {
  const limits = program.command('limits').description('show limits across accounts');
  listing(limits.command('list').description('list the limits of an organization, oldest first')).action(
    ({ owner, json, limit }: ListOptions) =>
      withLedger(async ({ limits: service }) => {
        const { limits: found } = await service.list(owner, null, limit);
        const shown = found.map(({ revision: _, ...one }) => one);
        if (json) return print(shown);
        const rows = shown.map((one) => [
          one.id,
          one.ledger,
          one.scope === 'accounts' ? one.accountCount : 'all',
          one.counts,
          one.setBy,
          one.usage.hour.amount,
          one.usage.day.amount,
          one.usage.total.amount,
          one.name,
        ]);
        console.log(
          table(['id', 'ledger', 'accounts', 'counts', 'set by', 'hour', 'day', 'total', 'name'], rows),
        );
      }),
  );
  reading(limits.command('show').description('show a limit with its accounts and what is used of it'))
    .argument('<id>', 'the ID of the limit', parseId)
    .action((id: string, { owner, json }: ReadOptions) =>
      withLedger(async ({ limits: service }) => {
        const { revision: _, ...found } = await service.find(owner, id);
        show(found, json);
      }),
    );
}

function filtering(command: Command, fields: Fields): Command {
  const names = filterNames(fields).join(', ');
  return command.option(
    '--filter <name=value>',
    `only those with this value, repeatable: ${names}, metadata[KEY]`,
    (given: string, before: Filter | undefined) => withFilter(given, before, fields),
  );
}

/** Adds a filter, written as in the query of a list, to those before it. */
function withFilter(given: string, before: Filter | undefined, fields: Fields): Filter {
  const [name = '', ...value] = given.split('=');
  const filter = readQueryFilters({ [name]: value.join('=') }, fields, (_, message) => {
    throw new InvalidArgumentError(`${name} ${message}.`);
  })!;
  return before === undefined ? filter : { and: [before, filter] };
}

export function addExchangesCommand(program: Command, withLedger: WithLedger): void {
  const exchanges = program.command('exchanges').description('show exchanges between ledgers');
  listing(exchanges.command('list').description('list the exchanges of an account, newest first'))
    .argument('<account>', 'the ID of the account', parseId)
    .action((account: string, { owner, json, limit }: ListOptions) =>
      withLedger(async ({ sets: { exchanges: service } }) => {
        const page = await service.listByAccount(owner, account, null, limit);
        if (json) return print(page.exchanges);
        const rows = page.exchanges.map((one) => [
          one.id,
          `${one.sourceAmount} ${one.sourceLedger}`,
          `${one.targetAmount} ${one.targetLedger}`,
          one.rate,
          one.createdAt,
          one.reference ?? '',
        ]);
        console.log(table(['id', 'source', 'target', 'rate', 'posted', 'reference'], rows));
      }),
    );
  reading(exchanges.command('show').description('show an exchange'))
    .argument('<id>', 'the ID of the exchange', parseId)
    .action((id: string, { owner, json }: ReadOptions) =>
      withLedger(async ({ sets: { exchanges: service } }) => show(await service.find(owner, id), json)),
    );
}

/** Adds the options of {@link ReadOptions}. */
export function reading(command: Command): Command {
  return command
    .option('--owner <organization>', 'the organization that has it', 'owner')
    .option('--json', 'print as JSON');
}

function listing(command: Command): Command {
  return reading(command).option(
    '--limit <count>',
    `how many at most, up to ${LIMIT_MAX}`,
    parseLimit,
    LIMIT_DEFAULT,
  );
}

export function print(found: object): void {
  console.log(JSON.stringify(found, null, 2));
}

/** Prints an object, by default one line per member. */
export function show(found: object, json: boolean | undefined): void {
  const rows = Object.entries(found).map(([name, value]) => [
    name,
    typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value ?? ''),
  ]);
  console.log(json ? JSON.stringify(found, null, 2) : table(['member', 'value'], rows));
}

export function parseId(given: string): string {
  const id = given.toLowerCase();
  if (!UUID.test(id)) throw new InvalidArgumentError('It must be a UUID.');
  return id;
}

function parseLimit(given: string): number {
  const limit = Number(given);
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMIT_MAX)
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${LIMIT_MAX}.`);
  return limit;
}
