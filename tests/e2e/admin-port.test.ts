import { afterEach, beforeEach, expect, test } from 'bun:test';
import { freePort } from '../../infra/free-port.ts';
import { freshDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { type AtlasProcess, makeFolder, removeFolder, runAtlas, startAtlas } from './atlas-process.ts';

const TIMEOUT_MS = 60_000;

let folder: string;
let started: AtlasProcess[];
let settings: Record<string, string>;
let operators: string;
beforeEach(async () => {
  folder = await makeFolder();
  started = [];
  settings = {
    DATABASE_URL: await freshDatabase(),
    ENVIRONMENT: 'staging',
    API_PORT: String(await freePort()),
    ADMIN_PORT: String(await freePort()),
    API_WORKERS: '2',
  };
  operators = `http://127.0.0.1:${settings.ADMIN_PORT}`;
}, TIMEOUT_MS);
afterEach(async () => {
  await Promise.all(started.map((atlas) => atlas.end('SIGKILL')));
  await removeFolder(folder);
});

async function start(more: Record<string, string> = {}): Promise<AtlasProcess> {
  const atlas = await startAtlas(folder, { ...settings, ...more });
  started.push(atlas);
  return atlas;
}

const statusOf = async (url: string) => {
  const response = await fetch(url, { keepalive: false });
  await response.arrayBuffer();
  return response.status;
};
const pidsOf = async (atlas: AtlasProcess) =>
  (await atlas.status()).slots.flatMap(({ state, worker }) => (state === 'ready' ? worker!.pid : []));

test(
  'every worker serves the admin port, also while all of them are replaced, and the other port never has its routes',
  async () => {
    const atlas = await start();
    expect(atlas.output()).toContain(`operators    ${operators}/metrics and /health/deep\n`);
    expect(await statusOf(`${atlas.url}/metrics`)).toBe(404);
    expect(await statusOf(`${atlas.url}/health/deep`)).toBe(404);
    const before = await pidsOf(atlas);
    atlas.signal('SIGHUP');
    let scrapes = 0;
    await until(async () => {
      const scraped = await fetch(`${operators}/metrics`, { keepalive: false });
      expect(scraped.status).toBe(200);
      expect(await scraped.text()).toMatch(/atlas_cluster_workers|atlas_worker/);
      scrapes++;
      const now = await pidsOf(atlas);
      return now.length === 2 && now.every((pid) => !before.includes(pid));
    });
    expect(scrapes).toBeGreaterThan(1);
    // A worker that still drains is not ready.
    await until(async () => (await statusOf(`${atlas.url}/health/ready`)) === 200);
  },
  TIMEOUT_MS,
);

test(
  'doctor reads the health of dependencies from the admin port of the running Atlas',
  async () => {
    await start({ KAFKA_BROKERS: '127.0.0.1:1' });
    const given = { ...settings, KAFKA_BROKERS: '127.0.0.1:1' };
    const { stdout } = await runAtlas(folder, ['doctor', '--json'], given);
    const { problems, parts, notes } = JSON.parse(stdout);
    expect(problems).toContainEqual(expect.stringContaining('The running Atlas cannot reach Kafka'));
    expect(notes).toEqual(expect.not.arrayContaining([expect.stringContaining('in the running Atlas')]));
    expect(parts).toContainEqual(
      expect.objectContaining({
        part: 'workers',
        where: `port ${settings.API_PORT}, for operators ${settings.ADMIN_PORT}`,
      }),
    );
  },
  TIMEOUT_MS,
);

test(
  'an admin port that is in use, or that of another Atlas, ends the start with what to do',
  async () => {
    const other = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response() });
    const usedPort = String(other.port);
    const inUse = await runAtlas(folder, ['serve'], { ...settings, ADMIN_PORT: usedPort });
    await other.stop(true);
    expect(inUse.code).toBe(1);
    expect(inUse.stderr).toMatch(
      new RegExp(
        `Atlas cannot listen on 127\\.0\\.0\\.1:${usedPort}\\.\\n {2}why: .*\\n {2}do: .*set ADMIN_PORT`,
      ),
    );
    await start();
    const second = await runAtlas(folder, ['serve'], { ...settings, API_PORT: String(await freePort()) });
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(
      /cannot listen on port \d+ for operators\.\n {2}why: {2}another Atlas on this host.*\n {2}do: {3}set ADMIN_PORT/,
    );
    expect(await statusOf(`${operators}/metrics`)).toBe(200);
  },
  TIMEOUT_MS,
);

test(
  'the start after kill -9 gets both ports',
  async () => {
    const atlas = await start();
    await atlas.end('SIGKILL');
    started = [];
    await start();
    expect(await statusOf(`${operators}/metrics`)).toBe(200);
  },
  TIMEOUT_MS,
);
