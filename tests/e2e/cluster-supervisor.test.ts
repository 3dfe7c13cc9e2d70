import { afterEach, beforeEach, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../infra/free-port.ts';
import { freshDatabase } from '../support/database.ts';
import { isAvailable } from '../support/is-available.ts';
import { lockTable } from '../support/table-lock.ts';
import { until } from '../support/until.ts';
import {
  type AtlasProcess,
  makeFolder,
  readStatus,
  removeFolder,
  runAtlas,
  startAtlas,
} from './atlas-process.ts';

const TIMEOUT_MS = 60_000;
const ROOT = join(import.meta.dir, '..', '..');

let folder: string;
let atlas: AtlasProcess | undefined;
let launcher: Bun.Subprocess<'ignore', 'pipe', 'pipe'> | undefined;
beforeEach(async () => {
  folder = await makeFolder();
  atlas = undefined;
  launcher = undefined;
});
afterEach(async () => {
  await atlas?.end('SIGKILL');
  // SIGTERM to the launcher: it would restart a server that is only killed.
  launcher?.kill('SIGTERM');
  await launcher?.exited;
  await removeFolder(folder);
});

/** Whether a process runs, as opposed to a zombie that no parent has reaped. */
function isRunning(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

test(
  'after kill -9 of the supervisor the workers release the port, finish short requests and exit',
  async () => {
    const databaseUrl = await freshDatabase();
    const port = await freePort();
    const settings = { DATABASE_URL: databaseUrl, API_WORKERS: '3', API_PORT: String(port) };
    atlas = await startAtlas(folder, { ...settings, ENVIRONMENT: 'staging' });
    const pids = (await atlas.status()).slots.map(({ worker }) => worker!.pid);
    const lock = await lockTable(databaseUrl, 'accounts');
    const held = fetch(`${atlas.url}/v1/accounts`, { headers: { Authorization: `Bearer ${atlas.key}` } });
    await lock.waiters(1);

    process.kill(atlas.pid, 'SIGKILL');
    const { url } = atlas;
    await until(() =>
      fetch(`${url}/health`, { keepalive: false }).then(
        () => false,
        ({ code }) => code === 'ECONNREFUSED',
      ),
    );
    // The port is free while a worker still finishes its requests.
    expect(pids.some(isRunning)).toBe(true);
    await lock.release();
    expect((await held).status).toBe(200);
    await until(() => !pids.some(isRunning));

    atlas = await startAtlas(folder, { ...settings, ENVIRONMENT: 'staging' });
    expect((await fetch(`${atlas.url}/health`)).status).toBe(200);
    expect((await atlas.end('SIGTERM')).code).toBe(0);
  },
  TIMEOUT_MS,
);

test(
  'the launcher restarts a killed server, but not one that was asked to stop',
  async () => {
    const node = Bun.which('node');
    if (!isAvailable('Node', node)) return;
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    launcher = Bun.spawn([node, join(ROOT, 'infra', 'launch.mjs'), 'src/main.ts', 'serve'], {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
      env: {
        PATH: process.env.PATH ?? '',
        HOME: folder,
        ATLAS_DATA_DIR: join(folder, 'data'),
        DATABASE_URL: await freshDatabase(),
        API_PORT: String(port),
        API_WORKERS: '2',
        ENVIRONMENT: 'staging',
      },
    });
    let output = '';
    void launcher.stdout.pipeTo(
      new WritableStream({
        write: (chunk) => {
          output += new TextDecoder().decode(chunk);
        },
      }),
    );
    const announcements = () => output.split('is listening on').length - 1;
    const errors = new Response(launcher.stderr).text();
    await until(() => announcements() === 1);
    const first = await readStatus(folder, url);

    process.kill(first.pid, 'SIGKILL');
    const killedMs = performance.now();
    await until(() => announcements() === 2);
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
    console.log(`back after kill -9 of the supervisor: ${Math.round(performance.now() - killedMs)} ms`);
    const second = await readStatus(folder, url);
    const old = first.slots.map(({ worker }) => worker!.pid);
    await until(() => !old.some(isRunning));

    launcher.kill('SIGTERM');
    expect(await launcher.exited).toBe(0);
    expect(isRunning(second.pid)).toBe(false);
    expect(await errors).toContain('killed by SIGKILL, restarting');
    expect(announcements()).toBe(2);
  },
  TIMEOUT_MS,
);

test('a worker does not run without its supervisor, and the help does not list it', async () => {
  const { code, stderr } = await runAtlas(folder, ['worker']);
  expect(code).toBe(1);
  expect(stderr).toMatch(/do: +run atlas serve/);
  const { stdout } = await runAtlas(folder, ['--help']);
  expect(stdout).toMatch(/^ {2}status\b/m);
  expect(stdout).not.toMatch(/^ {2}worker\b/m);
});

test('atlas status fails if Atlas is not running', async () => {
  const { code, stderr } = await runAtlas(folder, ['status'], { API_PORT: '8000' });
  expect(code).toBe(1);
  expect(stderr).toContain('Atlas is not running on port 8000.');
});
