import { afterEach, beforeEach, expect, test } from 'bun:test';
import { freshDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { type AtlasProcess, makeFolder, removeFolder, startAtlas, succeedAtlas } from './atlas-process.ts';
import { startFlood } from './flood.ts';
import { type Payments, startSteadyPayments } from './payments.ts';

const TIMEOUT_MS = 120_000;
const CALLERS = 300;
const FLOODED = 3000;
const PAYMENTS = 100;
// The first payments arrive before it is known who uses the time.
const SERVED_SHARE_MIN = 0.9;
// Four callers with a pause after each payment, beside 300 without: a payment for 5 responses of the flood was measured, and
// for 40 where the loop read all connections before it served one again.
const SERVED_PER_FLOODED_MIN = 0.05;
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
  'a flood of invalid bodies by one owner waits for its responses, or is refused, and payments of others are served meanwhile',
  async () => {
    const flood = startFlood(atlas!.url, {
      path: '/v1/transfers/batch',
      callers: CALLERS,
      headers: { Authorization: `Bearer ${floodKey}`, 'Idempotency-Key': 'flood' },
      body: INVALID_BATCH,
    });
    payments.forget();
    const flooded = () => flood.count(400) + flood.count(429);
    const sent = () => [...payments.statuses.values()].reduce((sum, count) => sum + count, 0);
    await until(() => flooded() >= FLOODED && sent() >= PAYMENTS, { deadlineMs: 60_000 });
    const served = payments.statuses.get(201) ?? 0;
    const [share, perFlooded] = [served / sent(), served / flooded()];
    const statuses = await flood.stop();
    console.log(
      `flood: ${JSON.stringify([...statuses])}; payments: ${JSON.stringify([...payments.statuses])}`,
    );
    expect(share).toBeGreaterThan(SERVED_SHARE_MIN);
    expect(perFlooded).toBeGreaterThan(SERVED_PER_FLOODED_MIN);
    expect([...statuses.keys()].filter((status) => status !== 400 && status !== 429)).toEqual([]);
    await payments.settle();
  },
  TIMEOUT_MS,
);
