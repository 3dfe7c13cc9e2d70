import { afterEach, beforeEach, expect, test } from 'bun:test';
import { freshDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { type AtlasProcess, makeFolder, removeFolder, startAtlas, succeedAtlas } from './atlas-process.ts';
import { startFlood } from './flood.ts';
import { type Payments, startSteadyPayments } from './payments.ts';

const TIMEOUT_MS = 120_000;
const CALLERS = 300;
const REFUSED = 200;
const PAYMENTS = 100;
// The first payments arrive before it is known who uses the time.
const REFUSED_SHARE_MAX = 0.1;
// Small enough not to be weighed as a large body.
const INVALID_BATCH = JSON.stringify({ transfers: Array.from({ length: 900 }, () => ({ debit: 1 })) });

let folder: string;
let atlas: AtlasProcess | undefined;
let payments: Payments;
let floodKey: string;
beforeEach(async () => {
  atlas = undefined;
  folder = await makeFolder();
  const settings = { DATABASE_URL: await freshDatabase(), API_WORKERS: '1' };
  atlas = await startAtlas(folder, settings);
  const printed = await succeedAtlas(
    folder,
    ['key', 'create', '--owner', 'flood', '--name', 'flood'],
    settings,
  );
  floodKey = /atlas_live_\w+/.exec(printed)![0];
  payments = await startSteadyPayments(atlas.url, atlas.key!);
}, TIMEOUT_MS);
afterEach(async () => {
  await atlas?.end('SIGKILL');
  await removeFolder(folder);
}, TIMEOUT_MS);

test(
  'a flood of invalid bodies by one owner is refused while the worker is out of CPU time, and payments of others are not',
  async () => {
    const flood = startFlood(atlas!.url, {
      path: '/v1/transfers/batch',
      callers: CALLERS,
      headers: { Authorization: `Bearer ${floodKey}`, 'Idempotency-Key': 'flood' },
      body: INVALID_BATCH,
    });
    payments.forget();
    const sent = () => [...payments.statuses.values()].reduce((sum, count) => sum + count, 0);
    await until(() => flood.count(429) >= REFUSED && sent() >= PAYMENTS, { deadlineMs: 60_000 });
    const refused = payments.statuses.get(429) ?? 0;
    const share = refused / sent();
    const statuses = await flood.stop();
    console.log(
      `flood: ${JSON.stringify([...statuses])}; payments: ${JSON.stringify([...payments.statuses])}`,
    );
    expect(share).toBeLessThan(REFUSED_SHARE_MAX);
    expect([...statuses.keys()].sort()).toEqual([400, 429]);
    await payments.settle();
  },
  TIMEOUT_MS,
);
