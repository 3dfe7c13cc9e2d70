import { afterEach, beforeEach, expect, test } from 'bun:test';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { freshDatabase } from '../support/database.ts';
import { isAvailable } from '../support/is-available.ts';
import { until } from '../support/until.ts';
import { type AtlasProcess, makeFolder, removeFolder, startAtlas } from './atlas-process.ts';
import { startSteadyPayments } from './payments.ts';

const TIMEOUT_MS = 120_000;
const SPARE_DESCRIPTORS = 40;
const CONNECTIONS = 400;
const PAYMENTS = 50;
const HEARTBEATS_MS = 2000;
const BODIES = 32;
const SEARCH_MS = 500;

let folder: string;
let atlas: AtlasProcess | undefined;
let idle: Socket[];
beforeEach(async () => {
  folder = await makeFolder();
  atlas = undefined;
  idle = [];
});
afterEach(async () => {
  for (const socket of idle) socket.destroy();
  await atlas?.end('SIGKILL');
  await removeFolder(folder);
});

const descriptorsOf = (pid: number) => readdirSync(`/proc/${pid}/fd`).length;

/** Starts a body in chunks that does not end. */
function startBody(socket: Socket, { url, key }: AtlasProcess): void {
  const { host } = new URL(url);
  const head = `POST /v1/transfers HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${key}`;
  socket.write(`${head}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n`);
}

test.skipIf(process.platform !== 'linux' || !isAvailable('prlimit', Bun.which('prlimit')))(
  'idle connections that use up the file descriptors of all workers end none of them, and payments are served',
  async () => {
    const databaseUrl = await freshDatabase();
    atlas = await startAtlas(folder, { DATABASE_URL: databaseUrl, API_WORKERS: '2', ENVIRONMENT: 'staging' });
    const payments = await startSteadyPayments(atlas.url, atlas.key!);
    const slots = async () => (await atlas!.status()).slots;
    const pids = (await slots()).map(({ worker }) => worker!.pid);
    const limits = pids.map((pid) => descriptorsOf(pid) + SPARE_DESCRIPTORS);
    for (const [i, pid] of pids.entries())
      Bun.spawnSync(['prlimit', '--pid', String(pid), `--nofile=${limits[i]}:${limits[i]}`]);
    const { hostname, port } = new URL(atlas.url);
    const bodies = Array.from({ length: BODIES }, () =>
      connect(Number(port), hostname).on('error', () => {}),
    );
    await Promise.all(bodies.map((socket) => once(socket, 'connect')));
    // So that the workers have searched before.
    for (const socket of bodies.slice(0, BODIES / 2)) startBody(socket, atlas);
    await Bun.sleep(SEARCH_MS);
    idle = Array.from({ length: CONNECTIONS }, () => connect(Number(port), hostname).on('error', () => {}));
    await until(() => pids.every((pid, i) => descriptorsOf(pid) >= limits[i]!));
    // Their connections are searched for among the descriptors of the worker, which takes one, too.
    for (const socket of bodies.slice(BODIES / 2)) startBody(socket, atlas);
    const paid = payments.acknowledged;
    // Each heartbeat reads the memory of its worker, which takes a descriptor.
    const sinceMs = performance.now();
    const areAlive = async () => (await slots()).every(({ heartbeatAgeSeconds }) => heartbeatAgeSeconds! < 1);
    await until(
      async () =>
        payments.acknowledged > paid + PAYMENTS && performance.now() > sinceMs + HEARTBEATS_MS && areAlive(),
    );
    for (const socket of [...idle, ...bodies]) socket.destroy();
    await payments.settle();
    expect((await slots()).map(({ worker, restarts }) => ({ pid: worker?.pid, restarts }))).toEqual(
      pids.map((pid) => ({ pid, restarts: 0 })),
    );
  },
  TIMEOUT_MS,
);
