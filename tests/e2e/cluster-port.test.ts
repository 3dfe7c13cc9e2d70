import { afterEach, beforeEach, expect, test } from 'bun:test';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../infra/free-port.ts';
import { freshDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { type AtlasProcess, makeFolder, removeFolder, startAtlas } from './atlas-process.ts';

const TIMEOUT_MS = 60_000;

let folder: string;
let started: AtlasProcess[];
let settings: Record<string, string>;
beforeEach(async () => {
  folder = await makeFolder();
  started = [];
  settings = {
    DATABASE_URL: await freshDatabase(),
    ENVIRONMENT: 'staging',
    API_PORT: String(await freePort()),
    API_WORKERS: '2',
  };
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

/** Whether a process runs, as opposed to a zombie that no parent has reaped. */
function isRunning(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

const pidsOf = async (atlas: AtlasProcess) =>
  (await atlas.status()).slots.flatMap(({ state, worker }) => (state === 'ready' ? worker!.pid : []));

test(
  'of two simultaneous starts on one port one serves, and the other reports that Atlas is already running',
  async () => {
    const ends = await Promise.allSettled([start(), start()]);
    expect(ends.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const refused = ends.find((end) => end.status === 'rejected');
    expect(String(refused!.reason)).toContain(`Atlas is already running on port ${settings.API_PORT}`);
    expect(await pidsOf(started[0]!)).toHaveLength(2);
  },
  TIMEOUT_MS,
);

test(
  'a stopped worker of a killed supervisor does not keep the port',
  async () => {
    const first = await start();
    const [stopped] = await pidsOf(first);
    process.kill(stopped!, 'SIGSTOP');
    // The test cannot wait for its exit: the stopped worker still holds its output open.
    process.kill(first.pid, 'SIGKILL');
    try {
      const second = await start();
      expect(isRunning(stopped!)).toBe(false);
      expect((await fetch(`${second.url}/health`)).status).toBe(200);
      expect(await pidsOf(second)).toHaveLength(2);
    } finally {
      if (isRunning(stopped!)) process.kill(stopped!, 'SIGKILL');
    }
  },
  TIMEOUT_MS,
);

test(
  'a restarted worker keeps the settings of the first start, even if .env has changed',
  async () => {
    const atlas = await start({
      API_WORKERS: '1',
      CORS_ALLOWED_ORIGINS: 'https://a.example,https://b.example',
    });
    const [old] = await pidsOf(atlas);
    writeFileSync(
      join(folder, '.env'),
      'DOCS_ENABLED=false\nLOAD_SHEDDING_MAX_CONCURRENT=3\nREDIS_URL=redis://x',
    );
    process.kill(old!, 'SIGKILL');
    await until(async () => (await pidsOf(atlas)).some((pid) => pid !== old));
    const { slots } = await atlas.status();
    expect(slots[0]!.worker).toMatchObject({ limit: 1000, mode: 'static' });
    const response = await fetch(`${atlas.url}/openapi.json`, { headers: { Origin: 'https://b.example' } });
    expect(response.status).toBe(200);
    expect(response.headers.get('access-control-allow-origin')).toBe('https://b.example');
  },
  TIMEOUT_MS,
);

test(
  'workers that cannot listen exit with the reason, and the server exits with the status of one that was serving',
  async () => {
    const atlas = await start();
    const pids = await pidsOf(atlas);
    // The port is free until the next workers have started.
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    let thief: Bun.Server<undefined> | undefined;
    await until(() => {
      try {
        thief = Bun.serve({
          hostname: '127.0.0.1',
          port: Number(settings.API_PORT),
          fetch: () => new Response(),
        });
      } catch {
        // A killed worker still has it.
      }
      return thief !== undefined;
    });
    await until(() => atlas.output().includes('cannot keep a worker alive'));
    const { code } = await atlas.end('SIGTERM');
    await thief!.stop(true);
    expect(atlas.output()).toContain('the worker cannot listen');
    expect(code).toBe(75);
  },
  TIMEOUT_MS,
);
