import { afterEach, beforeEach, expect, test } from 'bun:test';
import { connect } from 'node:net';
import { freshDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { type AtlasProcess, makeFolder, removeFolder, startAtlas } from './atlas-process.ts';
import { startSteadyPayments } from './payments.ts';

const TIMEOUT_MS = 120_000;
const CONNECTIONS = 32;
const PIPELINED = 20_000;
const CUT = 500;
const PAYMENTS = 100;

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

/** Connections that send requests without waiting for responses, and are opened again when they are closed. */
function startPipelining(url: string, path: string) {
  const { hostname, port } = new URL(url);
  const requests = `GET ${path} HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`.repeat(PIPELINED);
  let cut = 0;
  let stopped = false;

  const pipeline = () =>
    new Promise<void>((resolve) => {
      const socket = connect(Number(port), hostname);
      const send = () => {
        if (stopped) socket.destroy();
        else if (!socket.destroyed) socket.write(requests);
      };
      socket.on('connect', send).on('drain', send);
      socket.on('data', () => {
        if (stopped) socket.destroy();
      });
      socket.on('error', () => {});
      socket.on('close', () => resolve());
    });
  async function repeat(): Promise<void> {
    while (!stopped) {
      await pipeline();
      if (!stopped) cut++;
    }
  }

  const pipelining = Array.from({ length: CONNECTIONS }, repeat);
  return {
    cut: () => cut,
    stop: async () => {
      stopped = true;
      await Promise.all(pipelining);
    },
  };
}

test.each(['/health/live', '/unknown', '/v1/accounts'])(
  'callers without a key that send GET %s without end, and wait for no response, are cut off, and payments continue',
  async (path) => {
    atlas = await startAtlas(folder, { DATABASE_URL: await freshDatabase(), API_WORKERS: '2' });
    const payments = await startSteadyPayments(atlas.url, atlas.key!);
    const paid = payments.acknowledged;
    const flood = startPipelining(atlas.url, path);
    await until(() => flood.cut() >= CUT && payments.acknowledged >= paid + PAYMENTS, { deadlineMs: 30_000 });
    await flood.stop();
    console.log(`${path}: cut ${flood.cut()}, slowest payment ${Math.round(payments.slowestMs)} ms`);
    await payments.settle();
    expect((await atlas.status()).slots.map(({ restarts }) => restarts)).toEqual([0, 0]);
  },
  TIMEOUT_MS,
);
