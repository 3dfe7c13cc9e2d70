import { afterEach, beforeEach, test } from 'bun:test';
import { connect } from 'node:net';
import { freshDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { type AtlasProcess, makeFolder, removeFolder, startAtlas, succeedAtlas } from './atlas-process.ts';
import { startSteadyPayments } from './payments.ts';

const TIMEOUT_MS = 120_000;
const CONNECTIONS = 32;
const CUT = 200;
const PAYMENTS = 300;

const ZEROS = Buffer.alloc(65_536, '0');
const EXTENSIONS = Buffer.from(`1;${'a'.repeat(4000)}\r\n \r\n`.repeat(16));

let folder: string;
let atlas: AtlasProcess | undefined;
let key: string;
beforeEach(async () => {
  atlas = undefined;
  folder = await makeFolder();
  const settings = { DATABASE_URL: await freshDatabase(), API_WORKERS: '2' };
  atlas = await startAtlas(folder, settings);
  const create = ['key', 'create', '--owner', 'flood', '--name', 'flood'];
  key = /atlas_live_\w+/.exec(await succeedAtlas(folder, create, settings))![0];
}, TIMEOUT_MS);
afterEach(async () => {
  await atlas?.end('SIGKILL');
  await removeFolder(folder);
}, TIMEOUT_MS);

/** Connections that send a body in chunks without end, and are opened again when they are closed. */
function startFlood(url: string, line: string, piece: Buffer) {
  const { hostname, port } = new URL(url);
  const head = `${line} HTTP/1.1\r\nHost: ${hostname}\r\nAuthorization: Bearer ${key}\r\nTransfer-Encoding: chunked\r\n\r\n`;
  let cut = 0;
  let stopped = false;

  const once = () =>
    new Promise<void>((resolve) => {
      const socket = connect(Number(port), hostname, () => {
        socket.write(head);
        send();
      });
      const send = () => {
        if (stopped) socket.destroy();
        else if (!socket.destroyed && socket.write(piece)) setImmediate(send);
      };
      socket.on('drain', send);
      socket.on('data', () => {});
      socket.on('error', () => {});
      socket.on('close', () => resolve());
    });
  async function repeat(): Promise<void> {
    while (!stopped) {
      await once();
      cut++;
    }
  }

  const flooding = Array.from({ length: CONNECTIONS }, repeat);
  return {
    cut: () => cut,
    stop: async () => {
      stopped = true;
      await Promise.all(flooding);
    },
  };
}

// What is read from a connection is only known on Linux.
test.if(process.platform === 'linux').each([
  ['POST /v1/transfers', 'zeros', ZEROS],
  ['POST /v1/transfers', 'extensions', EXTENSIONS],
  ['POST /v1/files', 'zeros', ZEROS],
  ['GET /v1/events/stream', 'zeros', ZEROS],
])(
  'one owner that sends %s with bodies of %s without end is cut off, and payments of others continue',
  async (line, _what, piece) => {
    const payments = await startSteadyPayments(atlas!.url, atlas!.key!);
    const flood = startFlood(atlas!.url, line, piece);
    await until(() => flood.cut() >= CUT && payments.acknowledged >= PAYMENTS, { deadlineMs: 25_000 });
    await flood.stop();
    console.log(`${line}: cut ${flood.cut()}, slowest payment ${Math.round(payments.slowestMs)} ms`);
    await payments.settle();
  },
  TIMEOUT_MS,
);
