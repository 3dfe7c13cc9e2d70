import { createApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config.ts';
import { openDeps } from '../../src/deps.ts';
import { createAccountRepository } from '../../src/features/ledger/accounts/repository.ts';
import { createTransferRepository } from '../../src/features/ledger/transfers/repository.ts';
import { ALL_SCOPES } from '../../src/features.ts';
import { createLogger } from '../../src/instrumentation/logger.ts';
import { undoAll, undoAtEnd, undoOnSignals } from './support/clean-up.ts';
import { resetLedger, startDatabase } from './support/database.ts';
import { median } from './support/statistics.ts';

// What isolation costs: `bun tests/bench/isolation.ts` prints the time of reads and batches with isolation on and off,
// side by side: of repositories alone, and of requests through the whole app, without a socket.
const ACCOUNTS = 20_000;
const TRANSFERS = 20_000;
const ROUNDS = 9;
const OWNERS = 4;
const BATCH = 200;
const REQUESTS = 16;

undoOnSignals();
const { sql, url, database } = await startDatabase();
await resetLedger(sql, ACCOUNTS);
const ids = (await sql`SELECT id FROM accounts ORDER BY id`).map(({ id }) => id as string);
await sql`UPDATE accounts SET owner = 'o' || (get_byte(uuid_send(id), 0) % ${OWNERS})`;
const owners = new Map(
  (await sql`SELECT id, owner FROM accounts`).map(({ id, owner }) => [id as string, owner as string]),
);
const accounts = createAccountRepository(database);
const transfers = createTransferRepository(database);
let posted = 0;

/** Posts one batch, within an owner each. Returns the ids. */
async function post(items: number): Promise<string[]> {
  const byOwner = Map.groupBy(ids, (id) => owners.get(id)!);
  const orders = Array.from({ length: items }, () => {
    const owner = `o${posted++ % OWNERS}`;
    const own = byOwner.get(owner)!;
    const [debitAccountId, creditAccountId] = [own[posted % own.length]!, own[(posted + 7) % own.length]!];
    const id = crypto.randomUUID();
    return {
      owner,
      id,
      debitAccountId,
      creditAccountId,
      amount: 1,
      reference: null,
      metadata: { order: id },
    };
  });
  await transfers.post(
    orders.map(({ owner, ...order }) => ({
      owner,
      key: order.id,
      fingerprint: '00'.repeat(32),
      atomic: false,
      orders: [order],
    })),
  );
  return orders.map(({ id }) => id);
}

const written: string[] = [];
while (written.length < TRANSFERS) written.push(...(await post(BATCH)));
const payer = new Map(
  (await sql`SELECT t.id, a.owner FROM transfers t JOIN accounts a ON a.id = t.debit_account_id`).map(
    ({ id, owner }) => [id as string, owner as string],
  ),
);
await sql`VACUUM (ANALYZE) accounts, transfers`;

const { config } = loadConfig({ ENVIRONMENT: 'test', DATABASE_URL: url, LOG_LEVEL: 'error' }, '/dev/null');
const deps = await openDeps(config, createLogger(config));
undoAtEnd(() => deps.close());
const app = createApp(deps);
const tokens = new Map<string, string>();
for (let i = 0; i < OWNERS; i++) {
  const key = { owner: `o${i}`, name: 'bench', scopes: ALL_SCOPES, expiresAt: null };
  tokens.set(key.owner, (await app.features.identity.keys.create(key)).token);
}

/** Sends a request of an owner to the app. Throws unless it succeeds. */
async function get(owner: string, path: string): Promise<void> {
  const headers = { Host: 'atlas.test', Authorization: `Bearer ${tokens.get(owner)!}` };
  const response = await app.fetch(new Request(`http://atlas.test${path}`, { headers }));
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${path}: ${response.status} ${text}`);
}

let turn = 0;
const someOf = (count: number, list: readonly string[]) => {
  turn += 31 * count;
  return Array.from({ length: count }, (_, i) => list[(turn + i * 97) % list.length]!);
};
const some = (list: readonly string[]) => someOf(BATCH, list);
const WORK: Readonly<Record<string, () => Promise<unknown>>> = {
  'accounts by id, 200 at once': () => Promise.all(some(ids).map((id) => accounts.find(owners.get(id)!, id))),
  'an account by id': () => accounts.find(owners.get(some(ids)[0]!)!, ids[turn % ids.length]!),
  'transfers by id, 200 at once': () =>
    Promise.all(some(written).map((id) => transfers.find(payer.get(id)!, id))),
  'a transfer by id': () =>
    transfers.find(payer.get(written[++turn % written.length]!)!, written[turn % written.length]!),
  'a page of accounts': () => accounts.list(`o${turn++ % OWNERS}`, null, 50),
  'transfers of an account': () => {
    const id = ids[++turn % ids.length]!;
    return transfers.listByAccount(owners.get(id)!, id, null, 50);
  },
  'a batch of 200 transfers': () => post(BATCH),
  '16 × GET /v1/accounts/ID': () =>
    Promise.all(someOf(REQUESTS, ids).map((id) => get(owners.get(id)!, `/v1/accounts/${id}`))),
  '16 × GET /v1/transfers/ID': () =>
    Promise.all(someOf(REQUESTS, written).map((id) => get(payer.get(id)!, `/v1/transfers/${id}`))),
  '16 × GET /v1/accounts': () =>
    Promise.all(someOf(REQUESTS, ids).map((id) => get(owners.get(id)!, '/v1/accounts?limit=50'))),
  '16 × GET …/ID/transfers': () =>
    Promise.all(someOf(REQUESTS, ids).map((id) => get(owners.get(id)!, `/v1/accounts/${id}/transfers`))),
};
const COUNTS: Readonly<Record<string, number>> = { 'an account by id': 400, 'a transfer by id': 400 };

async function msPerCall(name: string, isOn: boolean): Promise<number> {
  // With another epoch nothing is in the cache.
  await sql`UPDATE transfer_id_secret SET isolates_owners = ${isOn}, isolation_epoch = isolation_epoch + 1`;
  await app.features.ledger.prepare();
  const count = COUNTS[name] ?? 40;
  for (let i = 0; i < count / 4; i++) await WORK[name]!();
  const startMs = performance.now();
  for (let i = 0; i < count; i++) await WORK[name]!();
  return (performance.now() - startMs) / count;
}

console.log(`${''.padEnd(30)} off, ms     on, ms   on ÷ off`);
for (const name of Object.keys(WORK)) {
  const ratios: number[] = [];
  const seen: Record<'on' | 'off', number[]> = { on: [], off: [] };
  for (let round = 0; round < ROUNDS; round++) {
    const order = round % 2 === 0 ? [false, true] : [true, false];
    const took = new Map<boolean, number>();
    for (const isOn of order) took.set(isOn, await msPerCall(name, isOn));
    seen.on.push(took.get(true)!);
    seen.off.push(took.get(false)!);
    ratios.push(took.get(true)! / took.get(false)!);
  }
  const cells = [median(seen.off).toFixed(3), median(seen.on).toFixed(3), median(ratios).toFixed(3)];
  console.log(name.padEnd(30), ...cells.map((cell) => cell.padStart(9)));
}
await undoAll();
