import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { changeAccount, type FullAccount } from '../../support/account-steps.ts';
import {
  type AccountResource,
  openAccount,
  openFundedAccount,
  postTransfer,
  readAccount,
} from '../../support/ledger-steps.ts';
import { holdMoney, refusalOf } from '../../support/movement-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

const DEPTH_MAX = 8;
const TREE_MAX = 10_000;
const TIMEOUT_MS = 120_000;
const PROGRAMS = Number(process.env.TREE_PROGRAMS ?? 40);

let atlas: TestApp;
let bank: AccountResource;
beforeAll(async () => {
  atlas = await startTestApp();
  bank = await openAccount(atlas);
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const open = (parent: AccountResource | null, content: object = {}) =>
  openAccount(atlas, { parentId: parent?.id ?? null, ...content });
const move = (account: AccountResource, parent: AccountResource | null) =>
  changeAccount(atlas, account.id, { parentId: parent?.id ?? null });
const rollUp = (account: AccountResource) => atlas.call('GET', `/v1/accounts/${account.id}/rollup`);
const rolledUp = async (account: AccountResource) => {
  const response = await rollUp(account);
  expect(response.status).toBe(200);
  return response.json() as Promise<Record<string, unknown>>;
};
async function chain(length: number): Promise<AccountResource[]> {
  const accounts: AccountResource[] = [];
  for (let i = 0; i < length; i++) accounts.push(await open(accounts.at(-1) ?? null));
  return accounts;
}

/** Who is in a tree that has a cycle or is too deep, or is a part of another owner or ledger. */
const faults = () => atlas.sql`
  WITH RECURSIVE up AS (
    SELECT id, parent_id, owner, ledger, 1 AS depth FROM accounts
    UNION ALL
    SELECT u.id, a.parent_id, u.owner, u.ledger, u.depth + 1 FROM up u JOIN accounts a ON a.id = u.parent_id
     WHERE u.depth <= ${DEPTH_MAX + 1}
  )
  SELECT id FROM up WHERE depth > ${DEPTH_MAX}
  UNION SELECT c.id FROM accounts c JOIN accounts p ON p.id = c.parent_id
   WHERE (c.owner, c.ledger) <> (p.owner, p.ledger)`;

describe('a parent', () => {
  test('is set when the account is opened or changed, and lists its children', async () => {
    const [root, other] = [await open(null), await open(null)];
    const children = [await open(root), await open(root), await open(root)];
    await open(children[0]!);
    const list = async (query: string) => {
      const response = await atlas.call('GET', `/v1/accounts?parentId=${root.id}${query}`);
      return (await response.json()) as { accounts: FullAccount[]; nextCursor: string | null };
    };
    const first = await list('&limit=2');
    const second = await list(`&limit=2&cursor=${first.nextCursor}`);
    expect([...first.accounts, ...second.accounts].map(({ id }) => id)).toEqual(children.map(({ id }) => id));
    expect(second.nextCursor).toBeNull();
    expect((await move(children[1]!, other)).status).toBe(200);
    expect(await readAccount(atlas, children[1]!.id)).toMatchObject({ parentId: other.id });
    expect((await list('')).accounts).toHaveLength(2);
    expect((await move(children[1]!, null)).status).toBe(200);
    expect(await readAccount(atlas, children[1]!.id)).toMatchObject({ parentId: null });
  });

  test('must exist, be of the same organization, and be on the same ledger', async () => {
    const stranger = await openAccount(await atlas.as('stranger'));
    const dollars = await openAccount(atlas, { ledger: 'USD' });
    const account = await open(null);
    for (const [parentId, code] of [
      [crypto.randomUUID(), 'parent_not_found'],
      [stranger.id, 'parent_not_found'],
      [dollars.id, 'parent_ledger_differs'],
    ] as const) {
      await expectProblem(atlas, await changeAccount(atlas, account.id, { parentId }), 422, code);
      const json = { ledger: 'EUR', parentId };
      await expectProblem(atlas, await atlas.call('POST', '/v1/accounts', { json }), 422, code);
    }
    expect(await readAccount(atlas, account.id)).toMatchObject({ parentId: null });
  });

  test('is neither the account itself nor anything below it', async () => {
    const accounts = await chain(DEPTH_MAX);
    for (const below of accounts)
      await expectProblem(atlas, await move(accounts[0]!, below), 422, 'account_cycle');
    expect(await faults()).toHaveLength(0);
  });

  test('is at most the seventh below a root, with all that is below the account', async () => {
    const accounts = await chain(DEPTH_MAX);
    expect(await refusalOf(move(await open(null), accounts.at(-1)!))).toBe('account_tree_too_deep');
    const json = { ledger: 'EUR', parentId: accounts.at(-1)!.id };
    expect(await refusalOf(atlas.call('POST', '/v1/accounts', { json }))).toBe('account_tree_too_deep');
    const [pair] = await chain(2);
    expect(await refusalOf(move(pair!, accounts.at(-2)!))).toBe('account_tree_too_deep');
    expect((await move(pair!, accounts.at(-3)!)).status).toBe(200);
    expect(await faults()).toHaveLength(0);
  });

  test('is no obstacle to opening the account again, whatever has become of it', async () => {
    const parent = await open(null);
    const json = { id: crypto.randomUUID(), ledger: 'EUR', parentId: parent.id };
    expect((await atlas.call('POST', '/v1/accounts', { json })).status).toBe(201);
    const deep = await chain(DEPTH_MAX - 1);
    expect(await refusalOf(move(parent, deep.at(-1)!))).toBe('account_tree_too_deep');
    expect((await changeAccount(atlas, json.id, { parentId: null })).status).toBe(200);
    expect((await move(parent, deep.at(-1)!)).status).toBe(200);
    expect((await atlas.call('POST', '/v1/accounts', { json })).status).toBe(200);
  });
});

describe('however accounts are moved at once,', () => {
  test('two that want to be above each other never are', async () => {
    for (let round = 0; round < 15; round++) {
      const [a, b, c] = [await open(null), await open(null), await open(null)];
      const moved = await Promise.all([
        move(a, b),
        move(b, c),
        move(c, a),
        move(b, a),
        move(a, c),
        move(c, b),
      ]);
      const codes = await Promise.all(moved.map(refusalOf));
      expect(codes.filter((code) => code !== 'none' && code !== 'account_cycle')).toEqual([]);
      expect(codes).toContain('account_cycle');
      expect(await faults()).toHaveLength(0);
    }
  });

  test(
    'no program of moves makes a cycle, a tree that is too deep, or another tree than one after the other does',
    async () => {
      const COUNT = 12;
      const step = fc.record({ of: fc.nat({ max: COUNT - 1 }), to: fc.option(fc.nat({ max: COUNT - 1 })) });
      const program = fc.array(fc.array(step, { minLength: 1, maxLength: 6 }), {
        minLength: 1,
        maxLength: 12,
      });
      await fc.assert(
        fc.asyncProperty(program, async (batches) => {
          const accounts = await Promise.all(Array.from({ length: COUNT }, () => open(null)));
          const model: (number | null)[] = Array(COUNT).fill(null);
          for (const batch of batches) {
            const codes = await Promise.all(
              batch.map(({ of, to }) => refusalOf(move(accounts[of]!, to === null ? null : accounts[to]!))),
            );
            if (batch.length === 1) expect(codes).toEqual([applyTo(model, batch[0]!)]);
            else await readInto(model, accounts);
            expect(await faults()).toHaveLength(0);
          }
        }),
        { numRuns: PROGRAMS },
      );
    },
    TIMEOUT_MS,
  );
});

/** What a move of one account leads to, and moves it in the model. */
function applyTo(model: (number | null)[], { of, to }: { of: number; to: number | null }): string {
  const ancestors = (of: number | null): number[] => (of === null ? [] : [of, ...ancestors(model[of]!)]);
  if (model[of] === to) return 'none';
  if (ancestors(to).includes(of)) return 'account_cycle';
  const below = model.flatMap((_, i) => {
    const above = ancestors(i);
    return above.includes(of) ? [above.indexOf(of) + 1] : [];
  });
  if (ancestors(to).length + Math.max(...below) > DEPTH_MAX) return 'account_tree_too_deep';
  model[of] = to;
  return 'none';
}

async function readInto(model: (number | null)[], accounts: readonly AccountResource[]): Promise<void> {
  const rows = await atlas.sql<{ id: string; parentId: string | null }[]>`
    SELECT id, parent_id FROM accounts WHERE id = ANY (${accounts.map(({ id }) => id)})`;
  const numberOf = new Map(accounts.map(({ id }, i) => [id, i]));
  for (const { id, parentId } of rows)
    model[numberOf.get(id)!] = parentId === null ? null : numberOf.get(parentId)!;
}

describe('a roll-up', () => {
  test('has the sums of an account and all below it, posted and pending', async () => {
    const root = await openFundedAccount(atlas, bank, 100);
    const [left, right] = [await open(root), await open(root)];
    const leaf = await open(left);
    const pay = (from: AccountResource, to: AccountResource, amount: number) =>
      postTransfer(atlas, { debitAccountId: from.id, creditAccountId: to.id, amount });
    for (const paid of [pay(root, left, 30), pay(left, leaf, 20), pay(bank, right, 7), pay(leaf, bank, 5)])
      expect((await paid).status).toBe(201);
    await holdMoney(atlas, { debitAccountId: leaf.id, creditAccountId: bank.id, amount: 4 });
    await holdMoney(atlas, { debitAccountId: bank.id, creditAccountId: right.id, amount: 2 });
    expect(await rolledUp(root)).toEqual({
      accountId: root.id,
      ledger: 'EUR',
      accounts: 4,
      debitsPosted: 55,
      creditsPosted: 157,
      debitsPending: 4,
      creditsPending: 2,
      balance: 102,
      available: 98,
      readAt: expect.any(String),
    });
    expect(await rolledUp(left)).toMatchObject({ accounts: 2, balance: 25, available: 21 });
    expect(await rolledUp(leaf)).toMatchObject({ accounts: 1, balance: 15, available: 11 });
  });

  test('is of one moment: money that moves within the tree never changes it', async () => {
    const root = await openFundedAccount(atlas, bank, 1000);
    const leaves = [await open(root), await open(await open(root))];
    const orders = [root, ...leaves].flatMap((from, i, all) => {
      const order = { debitAccountId: from.id, creditAccountId: all[(i + 1) % 3]!.id, amount: 1 + i };
      return Array<typeof order>(15).fill(order);
    });
    let isMoving = true;
    const moving = Promise.all(orders.map((order) => postTransfer(atlas, order))).finally(() => {
      isMoving = false;
    });
    const seen = new Set<unknown>();
    do seen.add((await rolledUp(root)).balance);
    while (isMoving);
    await moving;
    expect([...seen]).toEqual([1000]);
  });

  test(
    'and a move of more than 10,000 accounts are refused, and one of 10,000 is not',
    async () => {
      const root = await open(null);
      await atlas.sql`
        INSERT INTO accounts (id, owner, ledger, allow_negative, metadata, parent_id, credits_posted)
        SELECT gen_random_uuid(), 'owner', 'EUR', true, '{}', ${root.id}, 1 FROM generate_series(1, ${TREE_MAX - 1})`;
      expect(await rolledUp(root)).toMatchObject({ accounts: TREE_MAX, balance: TREE_MAX - 1 });
      expect((await move(root, await open(null))).status).toBe(200);
      await open(root);
      await expectProblem(atlas, await rollUp(root), 422, 'account_tree_too_large');
      await expectProblem(atlas, await move(root, await open(null)), 422, 'account_tree_too_large');
    },
    TIMEOUT_MS,
  );

  test('whose sums JSON cannot hold exactly is refused', async () => {
    const root = await open(null);
    for (const _ of [1, 2]) {
      const child = await open(root);
      await atlas.sql`UPDATE accounts SET credits_posted = ${Number.MAX_SAFE_INTEGER} WHERE id = ${child.id}`;
    }
    await expectProblem(atlas, await rollUp(root), 422, 'account_tree_too_large');
  });
});

test('an account of a tree is not moved to another organization', async () => {
  const [root, child] = await chain(2);
  await atlas.as('elsewhere');
  for (const { id } of [root!, child!]) {
    const moving = atlas.sql`UPDATE accounts SET owner = 'elsewhere' WHERE id = ${id}`;
    expect(await moving.then(String, String)).toContain('has a parent or children');
    const preview = atlas.features.ledger.reassignment.preview({ from: 'owner', ids: [id] }, 'elsewhere');
    expect(await preview.then(String, String)).toContain('all accounts of a tree have one owner');
  }
});
