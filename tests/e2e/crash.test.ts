import { afterEach, beforeEach, expect, test } from 'bun:test';
import { freePort } from '../../infra/free-port.ts';
import { type Client, createClient } from '../support/atlas-client.ts';
import { type AccountResource, openAccount, type TransferResource } from '../support/ledger-steps.ts';
import { type AtlasProcess, killPostgres, makeFolder, removeFolder, startAtlas } from './atlas-process.ts';

const TRANSFERS = 10_000;
const TIMES_EACH = 3;
const CALLERS = 64;
const ACCOUNTS = 20;
const ATTEMPTS_MAX = 500;
const PAUSE_MS = 20;
const TRY_AGAIN = new Set([409, 429, 503, 504]);

let folder: string;
let atlas: AtlasProcess | undefined;
beforeEach(async () => {
  folder = await makeFolder();
});
afterEach(async () => {
  await atlas?.end('SIGKILL');
  await removeFolder(folder);
});

interface Order {
  readonly key: string;
  readonly body: Pick<TransferResource, 'debitAccountId' | 'creditAccountId' | 'amount'>;
}
type Final = { readonly status: number; readonly replayed: boolean; readonly body: TransferResource };

test('each of 10,000 keys sent three times takes effect once, although Atlas is killed twice meanwhile', async () => {
  // The port stays the same, as for callers of a service that restarts.
  const settings = { API_PORT: String(await freePort()) };
  atlas = await startAtlas(folder, settings);
  const client = createClient(atlas.url, atlas.key!);
  const accounts = await openAccounts(client);
  const orders = makeOrders(accounts);
  const responses = new Map<string, Final[]>(orders.map(({ key }) => [key, []]));
  const queue = shuffle(orders.flatMap((order) => Array<Order>(TIMES_EACH).fill(order)));

  let up: Promise<void> = Promise.resolve();
  let completed = 0;
  let cutOff = 0;
  const restart = async (withPostgres: boolean) => {
    await atlas?.end('SIGKILL');
    if (withPostgres) await killPostgres(folder);
    atlas = await startAtlas(folder, settings);
  };
  const crashes = new Map([
    [Math.round(queue.length * 0.3), () => restart(false)],
    [Math.round(queue.length * 0.6), () => restart(true)],
  ]);
  /** Retries one request until it gets a final response, as Atlas promises is safe. */
  const sendUntilFinal = async (order: Order): Promise<Final> => {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const response = await client.post('/v1/transfers', order.body, order.key);
      if (response !== null && !TRY_AGAIN.has(response.status)) return response as Final;
      if (response === null) cutOff++;
      await up;
      await Bun.sleep(PAUSE_MS);
    }
    throw new Error(`${order.key} got no final response in ${ATTEMPTS_MAX} attempts.`);
  };
  const callers = Array.from({ length: CALLERS }, async () => {
    for (let order = queue.pop(); order !== undefined; order = queue.pop()) {
      responses.get(order.key)!.push(await sendUntilFinal(order));
      const crash = crashes.get(++completed);
      if (crash) up = crash();
    }
  });
  await Promise.all(callers);
  // Otherwise nothing was in flight at the crashes, and the test would prove little.
  expect(cutOff).toBeGreaterThan(CALLERS);

  const posted = new Map<string, TransferResource>();
  for (const finals of responses.values()) {
    expect(finals.length).toBe(TIMES_EACH);
    expect(finals.map(({ status }) => status)).toEqual([201, 201, 201]);
    expect(finals[1]!.body).toEqual(finals[0]!.body);
    expect(finals[2]!.body).toEqual(finals[0]!.body);
    // The first response may have been lost with the process. Two fresh responses would be two effects.
    expect(finals.filter(({ replayed }) => !replayed).length).toBeLessThanOrEqual(1);
    posted.set(finals[0]!.body.id, finals[0]!.body);
  }
  expect(posted.size).toBe(TRANSFERS);

  const found = new Map<string, TransferResource>();
  for (const id of accounts)
    for (const transfer of await client.list<TransferResource>(`/v1/accounts/${id}/transfers`, 'transfers'))
      found.set(transfer.id, transfer);
  expect(found.size).toBe(TRANSFERS);
  for (const [id, body] of posted) expect(found.get(id)).toEqual(body);

  const after = await client.list<AccountResource>('/v1/accounts', 'accounts');
  const balances = new Map(after.map(({ id, balance }) => [id, balance]));
  const expected = balancesOf(orders);
  expect(expected.size).toBe(ACCOUNTS);
  for (const [id, balance] of expected) expect(balances.get(id)).toBe(balance);
  for (const [, members] of Object.entries(Object.groupBy(after, ({ ledger }) => ledger)))
    expect(members!.reduce((sum, { balance }) => sum + balance, 0)).toBe(0);
  const verification = await client.get<object>('/v1/ledger/verification');
  expect(verification).toMatchObject({ ok: true, discrepancies: [] });
}, 180_000);

async function openAccounts(client: Client): Promise<string[]> {
  const opening = Array.from({ length: ACCOUNTS }, async (_, i) => {
    const { id } = await openAccount(client, { ledger: i < 10 ? 'USD' : 'CHF' });
    return id;
  });
  return Promise.all(opening);
}

/** Returns transfers within each of the two ledgers, between all of its accounts in turn. */
function makeOrders(accounts: readonly string[]): Order[] {
  const half = ACCOUNTS / 2;
  return Array.from({ length: TRANSFERS }, (_, i) => {
    const ledger = (i % 2) * half;
    const debit = (i >> 1) % half;
    const credit = (debit + 1 + ((i >> 4) % (half - 1))) % half;
    return {
      key: `payment-${i}`,
      body: {
        debitAccountId: accounts[ledger + debit]!,
        creditAccountId: accounts[ledger + credit]!,
        amount: 1 + (i % 997),
      },
    };
  });
}

function balancesOf(orders: readonly Order[]): Map<string, number> {
  const balances = new Map<string, number>();
  for (const { body } of orders) {
    balances.set(body.debitAccountId, (balances.get(body.debitAccountId) ?? 0) - body.amount);
    balances.set(body.creditAccountId, (balances.get(body.creditAccountId) ?? 0) + body.amount);
  }
  return balances;
}

/** Shuffles in the same order in every run (a linear congruential generator, Numerical Recipes). */
function shuffle<T>(items: T[]): T[] {
  let state = 1;
  for (let i = items.length - 1; i > 0; i--) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const j = state % (i + 1);
    [items[i], items[j]] = [items[j]!, items[i]!];
  }
  return items;
}
