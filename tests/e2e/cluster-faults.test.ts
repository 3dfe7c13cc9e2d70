import { afterEach, beforeEach, expect, test } from 'bun:test';
import { join } from 'node:path';
import { freshDatabase } from '../support/database.ts';
import { lockTable, type TableLock } from '../support/table-lock.ts';
import { until } from '../support/until.ts';
import {
  type AtlasProcess,
  isAlive,
  makeFolder,
  removeFolder,
  runAtlas,
  startAtlas,
} from './atlas-process.ts';
import { startLoad } from './load.ts';
import { startPayments } from './payments.ts';

const TIMEOUT_MS = 120_000;
const WORKERS = 4;

let folder: string;
let databaseUrl: string;
let atlas: AtlasProcess | undefined;
let lock: TableLock | null;
beforeEach(async () => {
  folder = await makeFolder();
  databaseUrl = await freshDatabase();
  atlas = undefined;
  lock = null;
}, TIMEOUT_MS);
afterEach(async () => {
  await lock?.release();
  await atlas?.end('SIGKILL');
  await removeFolder(folder);
});

const settingsOf = (settings: Record<string, string> = {}) => ({
  DATABASE_URL: databaseUrl,
  API_WORKERS: String(WORKERS),
  ENVIRONMENT: 'staging',
  ...settings,
});

async function serve(settings: Record<string, string> = {}): Promise<AtlasProcess> {
  atlas = await startAtlas(folder, settingsOf(settings));
  return atlas;
}

/** Sends requests that stay in flight until the lock is released, and waits until the workers have them. */
async function hold({ url, key, status }: AtlasProcess, count: number): Promise<Promise<number | null>[]> {
  lock = await lockTable(databaseUrl, 'accounts');
  const held = Array.from({ length: count }, () =>
    fetch(`${url}/v1/accounts`, { headers: { Authorization: `Bearer ${key}` }, keepalive: false }).then(
      (response) => response.status,
      () => null,
    ),
  );
  await until(async () => {
    const { slots } = await status();
    return slots.reduce((sum, { worker }) => sum + (worker?.inFlight ?? 0), 0) === count;
  });
  return held;
}

/** Scrapes the counters, by name and labels. */
async function scrapeCounters(url: string): Promise<Map<string, number>> {
  const text = await (await fetch(`${url}/metrics`, { keepalive: false })).text();
  const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name!, type!]));
  const samples = [...text.matchAll(/^(\w+)(\{.*\})? (\S+)$/gm)];
  return new Map(
    samples
      .filter(
        ([, name]) =>
          types.get(name!.replace(/_(?:bucket|sum|count)$/, '')) === 'histogram' ||
          types.get(name!) === 'counter',
      )
      .map(([, name, labels = '', value]) => [`${name}${labels}`, Number(value)]),
  );
}

test(
  'all workers get connections from one port, and the status shows the requests each has in flight',
  async () => {
    const { url } = await serve();
    const held = await hold(atlas!, 60);
    const { code, stdout } = await runAtlas(folder, ['status', '--json'], {
      API_PORT: new URL(url).port,
    });
    expect(code).toBe(0);
    const { slots } = JSON.parse(stdout) as Awaited<ReturnType<AtlasProcess['status']>>;
    expect(slots.map(({ slot, state, restarts }) => ({ slot, state, restarts }))).toEqual(
      [0, 1, 2, 3].map((slot) => ({ slot, state: 'ready', restarts: 0 })),
    );
    expect(new Set(slots.map(({ worker }) => worker!.pid)).size).toBe(WORKERS);
    for (const { worker } of slots) {
      expect(worker).toMatchObject({ mode: 'static', limit: 250, draining: false });
      expect(worker!.inFlight).toBeGreaterThan(0);
      expect(worker!.rssBytes).toBeGreaterThan(0);
    }
    // Connections are a budget of the host: 10, divided among four workers.
    const text = await (await fetch(`${url}/metrics`)).text();
    expect(/^atlas_database_connections_max (\d+)$/m.exec(text)![1]).toBe('8');
    expect(text).toMatch(/^atlas_cluster_workers\{state="ready"\} 4$/m);
    // Without a port it finds the only one on the folder.
    const { stdout: table } = await runAtlas(folder, ['status']);
    expect(table).toContain(`60 of 1000 in flight`);
    expect(table.split('\n').filter((line) => line.includes('ready'))).toHaveLength(WORKERS);
    await lock!.release();
    lock = null;
    expect(await Promise.all(held)).toEqual(Array<number>(60).fill(200));
  },
  TIMEOUT_MS,
);

test(
  'kill -9 of a worker fails only its own requests, and another worker takes its place',
  async () => {
    const { status } = await serve();
    const held = await hold(atlas!, 60);
    const [victim] = (await status()).slots;
    process.kill(victim!.worker!.pid, 'SIGKILL');
    await until(async () => {
      const [slot] = (await status()).slots;
      return slot!.state === 'ready' && slot!.worker?.incarnation === 2 && slot!.restarts === 1;
    });
    expect((await status()).slots.map(({ worker }) => worker?.incarnation)).toEqual([2, 1, 1, 1]);
    await lock!.release();
    lock = null;
    const statuses = await Promise.all(held);
    expect(statuses.filter((code) => code === null)).toHaveLength(victim!.worker!.inFlight);
    expect(statuses.filter((code) => code === 200)).toHaveLength(60 - victim!.worker!.inFlight);
  },
  TIMEOUT_MS,
);

test(
  'no counter decreases over 20 scrapes, whichever workers serve them, while workers are killed',
  async () => {
    const { url, key, status } = await serve();
    const headers = { Authorization: `Bearer ${key}` };
    const load = startLoad(url, { callers: 4, keepAlive: false, headers, pauseMs: 1 });
    const incarnations = async () => (await status()).slots.map(({ worker }) => worker?.incarnation ?? 0);
    const readySlots = async () => (await status()).slots.filter(({ state }) => state === 'ready');
    let before = await scrapeCounters(url);
    let kills = 0;
    for (let i = 0; i < 20; i++) {
      if (i % 4 === 1) {
        // At least two are left, so that one can always be scraped.
        await until(async () => (await readySlots()).length >= 3);
        const ready = await readySlots();
        process.kill(ready[++kills % ready.length]!.worker!.pid, 'SIGKILL');
      }
      // A request to the listener of a dead worker is reset; then scrape another one.
      const now = await scrapeCounters(url).catch(() => scrapeCounters(url));
      const decreased = [...before].filter(([name, value]) => (now.get(name) ?? 0) < value);
      expect(decreased).toEqual([]);
      before = now;
    }
    await load.stop();
    await until(
      async () => (await incarnations()).reduce((sum, incarnation) => sum + incarnation, 0) >= WORKERS + 5,
    );
    const deaths = [...before].find(
      ([name]) => name === 'atlas_cluster_worker_restarts_total{reason="crashed"}',
    );
    expect(deaths![1]).toBeGreaterThanOrEqual(3);
  },
  TIMEOUT_MS,
);

test(
  'the counts of a replaced worker are kept',
  async () => {
    const { url, key } = await serve({ API_WORKERS: '2' });
    const headers = { Authorization: `Bearer ${key}` };
    const ping = 'atlas_api_http_requests_total{method="GET",endpoint="/v1/ping",status="200"}';
    const load = startLoad(url, { callers: 4, keepAlive: false, headers });
    await until(() => load.succeeded() > 200);
    atlas!.signal('SIGHUP');
    await until(
      async () => (await atlas!.status()).slots.map(({ worker }) => worker?.incarnation).join() === '2,2',
    );
    const { succeeded, failed } = await load.stop();
    expect(failed).toEqual([]);
    expect((await scrapeCounters(url)).get(ping)).toBe(succeeded);
  },
  TIMEOUT_MS,
);

test(
  'a stopped worker is replaced while the others serve',
  async () => {
    const { url, status, key } = await serve();
    const [, victim] = (await status()).slots;
    process.kill(victim!.worker!.pid, 'SIGSTOP');
    const load = startLoad(url, {
      callers: 16,
      keepAlive: false,
      headers: { Authorization: `Bearer ${key}` },
      pauseMs: 5,
    });
    await until(async () => (await status()).slots[1]?.worker?.incarnation === 2);
    const { succeeded, failed } = await load.stop();
    expect(succeeded).toBeGreaterThan(100);
    // Each caller has one request at a time, so it can lose one to the killed worker.
    expect(failed.length).toBeLessThanOrEqual(16);
    expect(isAlive(victim!.worker!.pid)).toBe(false);
    expect((await status()).slots.map(({ worker }) => worker?.incarnation)).toEqual([1, 2, 1, 1]);
    const counters = await scrapeCounters(url);
    expect(counters.get('atlas_cluster_worker_restarts_total{reason="silent"}')).toBe(1);
  },
  TIMEOUT_MS,
);

test(
  'a worker that computes for seconds survives: it is shown as busy, and payments are served beside it',
  async () => {
    const main = join(import.meta.dir, '../../src/main.ts');
    const spin = `if (process.argv.includes('worker')) process.on('SIGUSR2', () => {
      const endMs = performance.now() + 9000;
      while (performance.now() < endMs);
    }); // ${main}`;
    await Bun.write(join(folder, 'spin.ts'), spin);
    await Bun.write(join(folder, 'bunfig.toml'), 'preload = ["./spin.ts"]');
    const { url, key, status, output } = await serve({ API_WORKERS: '2' });
    const pids = async () => (await status()).slots.map(({ worker }) => worker!.pid);
    const before = await pids();
    // Enough that some have a connection to the other worker.
    const payments = await startPayments(url, key!, { callers: 16 });
    await until(() => payments.acknowledged > 20);
    // The one that runs the jobs of the host, and posts for both.
    process.kill(before[0]!, 'SIGUSR2');
    await until(async () => (await status()).slots[0]!.busy);
    const paid = payments.acknowledged;
    const { stdout } = await runAtlas(folder, ['status', '--once'], { API_PORT: new URL(url).port });
    expect(stdout).toMatch(/^ +0 +\d+ +busy \d+ s /m);
    await until(() => payments.acknowledged > paid + 20);
    expect((await status()).slots[0]!.busy).toBe(true);
    await until(async () => !(await status()).slots[0]!.busy);
    await payments.settle();
    expect(await pids()).toEqual(before);
    expect((await status()).slots.map(({ restarts }) => restarts)).toEqual([0, 0]);
    expect(output()).toContain('a worker is busy and sends no heartbeats');
    // Logged with the next check, up to a heartbeat after the first message.
    await until(() => output().includes('a worker that was busy sends heartbeats again'));
  },
  TIMEOUT_MS,
);

test(
  'a crash loop fails the start with an error and leaves no worker behind',
  async () => {
    const main = join(import.meta.dir, '../../src/main.ts');
    await Bun.write(
      join(folder, 'die.ts'),
      `if (process.argv.includes('worker')) process.exit(3); // ${main}`,
    );
    await Bun.write(join(folder, 'bunfig.toml'), 'preload = ["./die.ts"]');
    const { code, stdout, stderr } = await runAtlas(folder, ['serve'], settingsOf());
    expect(code).toBe(1);
    expect(stderr).toContain('Atlas cannot keep a worker alive.');
    expect(stderr).toMatch(/why: +more than 12 workers died within 60 s .* exited with status 3/);
    expect(stdout).not.toContain('is listening on');
    expect(stdout).not.toContain('atlas_live_');
  },
  TIMEOUT_MS,
);
