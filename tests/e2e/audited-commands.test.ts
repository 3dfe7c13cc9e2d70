import { afterAll, beforeAll, expect, test } from 'bun:test';
import { execFileSync } from 'node:child_process';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { openPostgres, type Sql } from '../../src/adapters/postgres/postgres.ts';
import { freshDatabase } from '../support/database.ts';
import { makeFolder, removeFolder, succeedAtlas } from './atlas-process.ts';

const TEST_TIMEOUT_MS = 120_000;
const GROUPS = [
  'migrate',
  'key',
  'accounts',
  'transfers',
  'holds',
  'limits',
  'exchanges',
  'organizations',
  'users',
  'events',
  'files',
  'audit',
  'secrets',
];

const TEMPLATE_ACCOUNT = {
  name: '{name}',
  ledger: 'EUR',
  kind: null,
  allowNegative: false,
  metadata: {},
  parent: null,
  balanceMin: null,
  balanceMax: null,
};

let folder: string;
let settings: Record<string, string>;
let sql: Sql;
beforeAll(async () => {
  folder = await makeFolder();
  const url = await freshDatabase();
  settings = { DATABASE_URL: url };
  sql = openPostgres({ url, connectionsMax: 1, timeoutSeconds: 10 });
}, TEST_TIMEOUT_MS);
afterAll(async () => {
  await sql.end();
  await removeFolder(folder);
});

const run = (...args: string[]) => succeedAtlas(folder, args, settings);
const createKey = async (owner = 'acme') =>
  (await run('key', 'create', '--name', 'ci', '--owner', owner, '--scopes', 'ping:read'))
    .trim()
    .split('_')[2]!;

/** Opens an account of acme, after the first command has migrated the database. */
async function openAccount(): Promise<string> {
  await createKey();
  const id = crypto.randomUUID();
  await sql`
    INSERT INTO accounts (id, owner, ledger, allow_negative, metadata) VALUES (${id}, 'acme', 'EUR', true, '{}')`;
  return id;
}
const ofAcme = async (...args: string[]) => [await openAccount(), '--owner', 'acme', ...args];

/** Commands that change what organizations have: their entries, and how to run them. */
const CHANGES: Readonly<Record<string, { actions: readonly string[]; args(): Promise<readonly string[]> }>> =
  {
    'key create': {
      actions: ['api_key.created'],
      args: async () => ['--name', 'ci', '--owner', 'acme', '--scopes', 'ping:read'],
    },
    'key rotate': { actions: ['api_key.created', 'api_key.rotated'], args: async () => [await createKey()] },
    'key revoke': { actions: ['api_key.revoked'], args: async () => [await createKey()] },
    // In the log of each of the two organizations.
    'accounts reassign': {
      actions: ['account.reassigned', 'account.reassigned'],
      async args() {
        for (const owner of ['owner', 'acme']) await createKey(owner);
        const id = crypto.randomUUID();
        await sql`
        INSERT INTO accounts (id, owner, ledger, allow_negative, metadata) VALUES (${id}, 'owner', 'EUR', true, '{}')`;
        return [id, '--to', 'acme', '--yes'];
      },
    },
    'accounts update': {
      actions: ['account.updated'],
      args: () => ofAcme('--name', 'Rent', '--balance-min', '-100', '--balance-max', 'none'),
    },
    'accounts freeze': { actions: ['account.updated'], args: () => ofAcme() },
    'accounts unfreeze': {
      actions: ['account.updated'],
      async args() {
        const id = await openAccount();
        await sql`UPDATE accounts SET credits_frozen = true WHERE id = ${id}`;
        return [id, '--owner', 'acme', '--credits'];
      },
    },
    'accounts close': { actions: ['account.closed'], args: () => ofAcme() },
    'accounts reopen': {
      actions: ['account.reopened'],
      async args() {
        const id = await openAccount();
        await sql`UPDATE accounts SET closed_at = now() WHERE id = ${id}`;
        return [id, '--owner', 'acme'];
      },
    },
    'accounts chart': {
      actions: ['account.created', 'account.created'],
      async args() {
        await createKey();
        const accounts = ['a', 'b'].map((ref) => ({ ...TEMPLATE_ACCOUNT, ref }));
        await sql`
          INSERT INTO account_templates (owner, name, version, accounts)
          VALUES ('acme', 'pair', 1, ${JSON.stringify(accounts)}::text::json)`;
        return ['pair', '--value', 'name=Ada', '--owner', 'acme'];
      },
    },
    import: {
      actions: ['account.created', 'import.created', 'import.finished'],
      async args() {
        await createKey();
        const path = join(folder, 'accounts.ndjson');
        await Bun.write(path, `{"type":"account","id":"${crypto.randomUUID()}","ledger":"EUR"}\n`);
        return [path, '--organization', 'acme'];
      },
    },
    export: { actions: ['organization.exported'], args: async () => ['--organization', 'acme'] },
    'organizations suspend': { actions: ['organization.suspended'], args: async () => ['acme'] },
    'users create': {
      actions: ['membership.created', 'user.created'],
      args: async () => ['ada@example.com', '--organization', 'acme'],
    },
    'users lock': { actions: ['user.locked'], args: async () => ['ada@example.com'] },
    'users unlock': { actions: ['user.unlocked'], args: async () => ['ada@example.com'] },
    'organizations reinstate': { actions: ['organization.reinstated'], args: async () => ['acme'] },
  };

/** Every other command, and why it has no entry of its own. */
const OTHERS: Readonly<Record<string, string>> = {
  serve: 'Its requests have entries, and so has a switch of isolation.',
  verify: 'It reads.',
  status: 'It reads.',
  doctor: 'It reads.',
  config: 'It reads.',
  docs: 'It writes files of the repository.',
  demo: 'Its requests have entries.',
  seed: 'What it creates has entries, except for keys that nobody has the secrets of.',
  'migrate up': 'It changes the schema.',
  'migrate down': 'It changes the schema, and the log with it.',
  'migrate reset': 'It drops the log with everything else.',
  'migrate status': 'It reads.',
  'migrate new': 'It writes files of the repository.',
  'key list': 'It reads.',
  'accounts list': 'It reads.',
  'accounts show': 'It reads.',
  'transfers list': 'It reads.',
  'transfers search': 'It reads.',
  'transfers show': 'It reads.',
  'holds list': 'It reads.',
  'holds show': 'It reads.',
  'limits list': 'It reads.',
  'limits show': 'It reads.',
  'exchanges list': 'It reads.',
  'exchanges show': 'It reads.',
  statements: 'It reads.',
  'organizations list': 'It reads.',
  'events status': 'It reads.',
  'events parked': 'It reads.',
  'events retry': 'It sends what would have been sent, unchanged.',
  'files verify': 'It reads.',
  'files reconcile': 'It does what the jobs of a host do, with their entries.',
  'audit verify': 'It reads.',
  'secrets key': 'It prints a random key.',
  'secrets rotate': 'The secrets stay what they are.',
};

/** Returns the names of the commands that the help of a command lists. */
async function listed(...group: string[]): Promise<string[]> {
  const [, commands = ''] = (await run(...group, '--help')).split('\nCommands:\n');
  return [...commands.matchAll(/^ {2}([a-z]+)/gm)].map(([, name]) => name!).filter((name) => name !== 'help');
}

test(
  'every command is listed, with its entries or why there are none',
  async () => {
    const names = (await listed()).filter((name) => !GROUPS.includes(name));
    for (const group of GROUPS) names.push(...(await listed(group)).map((name) => `${group} ${name}`));
    expect([...Object.keys(CHANGES), ...Object.keys(OTHERS)].sort()).toEqual(names.sort());
  },
  TEST_TIMEOUT_MS,
);

test.each(Object.entries(CHANGES))(
  'atlas %s is recorded exactly as listed, as a command',
  async (name, { actions, args }) => {
    const given = await args();
    const [{ last }] = await sql<[{ last: string }]>`
      SELECT coalesce(max(id), 0)::text AS last FROM audit_entries`;
    await run(...name.split(' '), ...given);
    const rows = await sql<{ action: string; kind: string }[]>`
      SELECT action, actor->>'kind' AS kind FROM audit_entries WHERE id > ${last} ORDER BY action`;
    expect(rows.map(({ action, kind }) => [action, kind])).toEqual(
      actions.map((action) => [action, 'command']),
    );
  },
  TEST_TIMEOUT_MS,
);

test(
  'a command is recorded as the user that the kernel knows, whatever its environment says',
  async () => {
    await createKey('forged');
    const suspend = ['organizations', 'suspend', 'forged'];
    await succeedAtlas(folder, suspend, { ...settings, USER: 'somebody-else', LOGNAME: 'somebody-else' });
    const [entry] = await sql<{ id: string }[]>`
      SELECT actor->>'id' AS id FROM audit_entries
      WHERE action = 'organization.suspended' AND organization = 'forged'`;
    expect(entry!.id).toBe(`${execFileSync('id', ['-un']).toString().trim()}@${hostname()}`);
  },
  TEST_TIMEOUT_MS,
);
