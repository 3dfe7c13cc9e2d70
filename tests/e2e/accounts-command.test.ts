import { afterAll, beforeAll, expect, test } from 'bun:test';
import { openAccount, postTransfer } from '../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../support/test-app.ts';
import { makeFolder, removeFolder, runAtlas } from './atlas-process.ts';

const TIMEOUT_MS = 60_000;
let folder: string;
let atlas: TestApp;
beforeAll(async () => {
  folder = await makeFolder();
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(async () => {
  await atlas.close();
  await removeFolder(folder);
});

const run = (...args: string[]) => runAtlas(folder, args, { DATABASE_URL: atlas.deps.databaseUrl });
const reassign = (...args: string[]) => run('accounts', 'reassign', ...args);

test(
  'atlas accounts reassign gives accounts to another organization, and refuses what it would not do in full',
  async () => {
    const [old, young, payer] = [
      await openAccount(atlas),
      await openAccount(atlas),
      await openAccount(atlas),
    ];
    const { sql } = atlas;
    await sql`
      UPDATE accounts SET created_at = (SELECT applied_at FROM schema_migrations WHERE number = 3) - interval '1 day'
      WHERE id = ${old.id}`;
    const acme = await atlas.as('acme');
    const test = await openAccount(await atlas.as('owner', 'test'));
    const ownerOf = async (id: string) =>
      (await sql`SELECT owner FROM accounts WHERE id = ${id}`)[0]!.owner as string;

    for (const [args, why] of [
      [['--to', 'nobody'], 'there is no organization nobody'],
      [['--to', 'owner'], 'belong to owner already'],
      [['--to', 'acme', young.id, crypto.randomUUID()], 'owner has no account'],
      [['--to', 'acme', '--from', 'acme2', young.id], 'there is no organization acme2'],
      [['--to', 'acme', '--from', 'owner~test', test.id], 'accounts of test keys cannot be moved'],
      [['--to', 'owner~test', young.id], 'there is no organization owner~test'],
      [['--to', 'acme', 'no-id'], 'must be the UUID'],
      [[], '--to'],
    ] as const) {
      const refused = await reassign(...args, '--yes');
      expect([args, refused.code, refused.stdout]).toEqual([args, 1, '']);
      expect(refused.stderr).toContain(why);
    }
    expect(await ownerOf(test.id)).toBe('owner~test');
    const dry = await reassign('--to', 'acme');
    expect(dry).toMatchObject({ code: 0, stderr: '' });
    expect(dry.stdout).toStartWith('This would move 1 account from owner to acme');
    expect([await ownerOf(old.id), await ownerOf(young.id)]).toEqual(['owner', 'owner']);

    expect((await reassign('--to', 'acme', '--yes')).stdout).toBe('Moved 1 account from owner to acme.\n');
    expect([await ownerOf(old.id), await ownerOf(young.id)]).toEqual(['acme', 'owner']);
    expect((await reassign('--to', 'acme', '--yes')).stdout).toStartWith('owner has no accounts from before');
    // What was moved before an interruption is no obstacle to repeating the command.
    const both = [old.id, young.id.toUpperCase(), '--to', 'acme', '--yes'];
    expect((await reassign(...both)).stdout).toBe('Moved 1 account from owner to acme.\n');
    expect((await reassign(...both)).stdout).toBe('They belong to acme already.\n');

    // It is theirs now, and only theirs.
    const order = { debitAccountId: old.id, creditAccountId: young.id, amount: 3 };
    expect((await postTransfer(acme, order)).status).toBe(201);
    expect((await postTransfer(atlas, { ...order, creditAccountId: payer.id })).status).toBe(422);
    expect((await atlas.call('GET', `/v1/accounts/${old.id}`)).status).toBe(404);
  },
  TIMEOUT_MS,
);

test(
  'atlas verify covers the accounts of all organizations, and fails if one of them is wrong',
  async () => {
    const fine = await run('verify');
    expect(fine).toMatchObject({ code: 0, stderr: '' });
    expect(fine.stdout).toContain('Every balance is the sum of its entries');
    const account = await openAccount(await atlas.as('acme'));
    await atlas.sql`UPDATE accounts SET credits_posted = 5 WHERE id = ${account.id}`;
    const wrong = await run('verify', '--json');
    expect(wrong.code).toBe(1);
    expect(JSON.parse(wrong.stdout)).toMatchObject({ ok: false });
    expect((await run('verify')).stdout).toContain(`sums_differ at ${account.id}`);
  },
  TIMEOUT_MS,
);
