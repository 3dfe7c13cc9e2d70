import { afterEach, beforeEach, expect, test } from 'bun:test';
import { freshDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { type AtlasProcess, makeFolder, removeFolder, startAtlas } from './atlas-process.ts';
import { startFlood } from './flood.ts';
import { startSteadyPayments } from './payments.ts';

const TIMEOUT_MS = 120_000;
const CALLERS = 350;
const RESPONSES = 1500;
const PAYMENTS = 50;
// Ten times what an idle worker takes. A response that is made for each caller takes it to a gigabyte and more.
const RSS_MAX_BYTES = 800_000_000;

let folder: string;
let atlas: AtlasProcess | undefined;
beforeEach(async () => {
  folder = await makeFolder();
  atlas = undefined;
});
afterEach(async () => {
  await atlas?.end('SIGKILL');
  await removeFolder(folder);
});

test.each(['/docs/assets/redoc.js', '/openapi.json', '/problems/not_found', '/metrics', '/health/deep'])(
  'hundreds of callers without a key that get %s kill no worker, and payments are served meanwhile',
  async (path) => {
    const databaseUrl = await freshDatabase();
    atlas = await startAtlas(folder, { DATABASE_URL: databaseUrl, API_WORKERS: '2', ENVIRONMENT: 'staging' });
    const slots = async () => (await atlas!.status()).slots;
    const before = (await slots()).map(({ worker }) => worker?.pid);
    const payments = await startSteadyPayments(atlas.url, atlas.key!);
    const paid = payments.acknowledged;
    const flood = startFlood(atlas.url, { path, callers: CALLERS, headers: { 'Accept-Encoding': 'gzip' } });
    let rssBytes = 0;
    const isEnough = async () => {
      rssBytes = Math.max(rssBytes, ...(await slots()).map(({ worker }) => worker?.rssBytes ?? 0));
      return flood.responses() >= RESPONSES && payments.acknowledged >= paid + PAYMENTS;
    };
    await until(isEnough, { deadlineMs: 60_000, pollMs: 50 });
    const statuses = await flood.stop();
    console.log(
      `${path}: ${JSON.stringify([...statuses])}, slowest payment ${Math.round(payments.slowestMs)} ms, memory ${Math.round(rssBytes / 1e6)} MB`,
    );
    expect((await slots()).map(({ worker }) => worker?.pid)).toEqual(before);
    await payments.settle();
    // A refusal is fine, a connection without a response (0) is not.
    expect([...statuses.keys()].filter((status) => ![200, 429, 503].includes(status))).toEqual([]);
    expect(rssBytes).toBeLessThan(RSS_MAX_BYTES);
  },
  TIMEOUT_MS,
);
