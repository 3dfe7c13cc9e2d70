import { afterAll, beforeAll, expect, test } from 'bun:test';
import type { FullAccount } from '../support/account-steps.ts';
import { newKey, openAccount, openFundedAccount, readAccount } from '../support/ledger-steps.ts';
import { holdMoney, postHold, readHold } from '../support/movement-steps.ts';
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
const read = async (...args: string[]) => JSON.parse((await run(...args, '--json')).stdout);

test(
  'accounts, transfers and holds are listed and shown, of one organization',
  async () => {
    const bank = await openAccount(atlas);
    const alice = await openFundedAccount(atlas, bank, 100);
    const order = { debitAccountId: alice.id, creditAccountId: bank.id, amount: 60 };
    const [first, second] = [await holdMoney(atlas, order), await holdMoney(atlas, { ...order, amount: 5 })];
    const transfer = await postHold(atlas, first.id, { reference: newKey() });

    const ids = (rows: { id: string }[]) => rows.map(({ id }) => id);
    expect(ids(await read('accounts', 'list'))).toEqual(expect.arrayContaining([bank.id, alice.id]));
    const {
      balance: _,
      available,
      ...account
    } = (await readAccount(atlas, alice.id)) as never as {
      balance: number;
      available: number;
    };
    expect(await read('accounts', 'show', alice.id)).toMatchObject(account);
    expect(available).toBe(35);
    expect((await read('transfers', 'list', alice.id))[0]).toEqual(transfer as object);
    expect(await read('transfers', 'show', transfer.id)).toEqual(transfer as object);
    expect(ids(await read('holds', 'list', alice.id))).toEqual([second.id, first.id]);
    expect(ids(await read('holds', 'list', alice.id, '--state', 'posted'))).toEqual([first.id]);
    expect(await read('holds', 'show', first.id)).toEqual((await readHold(atlas, first.id)) as object);
    expect((await run('holds', 'list', alice.id)).stdout).toMatch(/pending +5 +0 +5 /);

    const other = await run('holds', 'show', first.id, '--owner', 'acme');
    expect([other.code, other.stdout]).toEqual([1, '']);
    expect(other.stderr).toContain(`Hold ${first.id} does not exist.`);
    expect((await run('transfers', 'show', 'x')).stderr).toContain('must be a UUID');
  },
  TIMEOUT_MS,
);

test(
  'limits of an account are set, and cleared by none',
  async () => {
    const { id } = await openAccount(atlas, { balanceMin: -50, balanceMax: 30 });
    const update = (...limits: string[]) => read('accounts', 'update', id, ...limits);
    const stored = () => readAccount(atlas, id) as Promise<FullAccount>;
    expect(await update('--balance-min', '-70', '--balance-max', 'none')).toMatchObject({ balanceMin: -70 });
    expect(await stored()).toMatchObject({ balanceMin: -70, balanceMax: null });
    await update('--balance-min', 'none', '--balance-max', '0');
    expect(await stored()).toMatchObject({ balanceMin: null, balanceMax: 0 });
  },
  TIMEOUT_MS,
);
