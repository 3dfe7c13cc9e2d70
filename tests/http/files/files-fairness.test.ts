import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { connect, type Socket } from 'node:net';
import { freePort } from '../../../infra/free-port.ts';
import { type Listener, listen } from '../../../src/cluster/listener.ts';
import { freshDatabase } from '../../support/database.ts';
import {
  type FilesApp,
  gzipLike,
  MIB,
  sha256Of,
  startFilesApp,
  uploadFile,
} from '../../support/file-steps.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';

const GREEDY = 60;

let atlas: FilesApp;
let listener: Listener;
let port: number;
let greedyKey: string;
let modestKey: string;
const sockets = new Set<Socket>();

beforeAll(async () => {
  await freshDatabase();
  atlas = await startFilesApp('directory');
  greedyKey = await atlas.key();
  modestKey = await atlas.key(undefined, 'modest');
  port = await freePort();
  listener = listen(atlas, { ...atlas.deps, config: { ...atlas.deps.config, API_PORT: port } });
}, START_TIMEOUT_MS);
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await until(() => atlas.files.stats.uploadsInFlight + atlas.files.stats.downloadsInFlight === 0);
});
afterAll(async () => {
  await listener.stop();
  await atlas.close();
});

/** Opens a connection, and sends a head and then what comes after it. It reads the start of the response only. */
function open(request: string, headers: readonly string[], after?: Uint8Array) {
  const socket = connect(port, '127.0.0.1');
  sockets.add(socket);
  socket.on('error', () => {});
  socket.write(`${[request, 'Host: atlas.test', ...headers].join('\r\n')}\r\n\r\n`);
  if (after !== undefined) socket.write(after);
  const opened = { socket, status: null as number | null, head: '' };
  socket.on('data', (chunk: Buffer) => {
    opened.head ||= chunk.toString('latin1');
    opened.status ??= Number(opened.head.slice(9, 12));
    socket.pause();
  });
  return opened;
}
const openMany = (request: string, headers: readonly string[], after?: Uint8Array) =>
  Array.from({ length: GREEDY }, () => open(request, headers, after));
const statuses = (opened: readonly { status: number | null }[], status: number) =>
  opened.filter((found) => found.status === status).length;

const withKey = (key: string) => ({ headers: { Authorization: `Bearer ${key}` } });
const upload = async (key: string) =>
  fetch(`http://127.0.0.1:${port}/v1/files`, { method: 'POST', body: gzipLike(1000), ...withKey(key) });
const download = async (key: string, id: string) => {
  const response = await fetch(`http://127.0.0.1:${port}/v1/files/${id}/content`, withKey(key));
  await response.arrayBuffer();
  return response.status;
};

/** Initiates an upload, and returns the request line and headers that send it. */
async function initiate(sizeBytes: number) {
  const sha256 = sha256Of(gzipLike(10));
  const json = { name: 'a.gz', mediaType: 'application/gzip', sizeBytes, sha256 };
  const response = await atlas.call('POST', '/v1/files/uploads', { json });
  const { upload } = (await response.json()) as {
    upload: { url: string; headers: Record<string, string> };
  };
  const headers = Object.entries({ ...upload.headers, 'Content-Length': String(sizeBytes) });
  return {
    request: `PUT ${upload.url} HTTP/1.1`,
    headers: headers.map(([name, value]) => `${name}: ${value}`),
  };
}

describe('uploads that send nothing', () => {
  test('of one key take no slot, and others upload', async () => {
    const idle = openMany('POST /v1/files HTTP/1.1', [
      `Authorization: Bearer ${greedyKey}`,
      'Content-Length: 1000000',
    ]);
    // Even of those that wait for their first bytes, an owner has a share.
    await until(() => statuses(idle, 429) >= GREEDY - 32);
    expect(atlas.files.stats.uploadsInFlight).toBe(0);
    expect((await upload(modestKey)).status).toBe(201);
  });

  test('of one link take no slot, and neither the owner of its file nor others wait for it', async () => {
    const { request, headers } = await initiate(1_000_000);
    const idle = openMany(request, headers);
    await until(() => statuses(idle, 429) === GREEDY - 2);
    expect(atlas.files.stats.uploadsInFlight).toBe(0);
    expect([(await upload(greedyKey)).status, (await upload(modestKey)).status]).toEqual([201, 201]);
  });
});

describe('uploads that begin and do not end', () => {
  test('of one key leave slots to others, and are refused beyond that', async () => {
    const head = ['Content-Length: 10000000', `Authorization: Bearer ${greedyKey}`];
    const begun = openMany('POST /v1/files HTTP/1.1', head, gzipLike(10_000));
    await until(() => statuses(begun, 429) === GREEDY - 8);
    expect(atlas.files.stats.uploadsInFlight).toBe(8);
    const { head: refused } = begun.find(({ status }) => status === 429)!;
    expect(refused.toLowerCase()).toMatch(/\r\nretry-after: [1-5]\r\n/);
    const uploads = await Promise.all(Array.from({ length: 4 }, () => upload(modestKey)));
    expect(uploads.map(({ status }) => status)).toEqual([201, 201, 201, 201]);
  });

  test('of one link take two slots', async () => {
    const { request, headers } = await initiate(10_000_000);
    const begun = openMany(request, headers, gzipLike(10_000));
    await until(() => statuses(begun, 429) === GREEDY - 2);
    expect(atlas.files.stats.uploadsInFlight).toBe(2);
    expect([(await upload(greedyKey)).status, (await upload(modestKey)).status]).toEqual([201, 201]);
  });
});

describe('downloads that are not read', () => {
  test('of one link take a few slots, and the rest is refused', async () => {
    const { id } = await uploadFile(atlas, gzipLike(30 * MIB));
    const response = await atlas.call('POST', `/v1/files/${id}/link`);
    const { url } = (await response.json()) as { url: string };
    const unread = openMany(`GET ${url} HTTP/1.1`, []);
    await until(() => statuses(unread, 429) === GREEDY - 8);
    expect(atlas.files.stats.downloadsInFlight).toBe(8);
    expect(await download(greedyKey, id)).toBe(200);
    const { id: other } = (await (await upload(modestKey)).json()) as { id: string };
    expect(await download(modestKey, other)).toBe(200);
    const text = await (await atlas.call('GET', '/metrics')).text();
    expect(text).toContain(`atlas_files_refused_total{what="downloads",limit="link"} ${GREEDY - 8}`);
  });

  test('of one key leave half of the slots to others', async () => {
    const { id } = await uploadFile(atlas, gzipLike(30 * MIB));
    const { id: other } = (await (await upload(modestKey)).json()) as { id: string };
    const unread = openMany(`GET /v1/files/${id}/content HTTP/1.1`, [`Authorization: Bearer ${greedyKey}`]);
    await until(() => statuses(unread, 429) === GREEDY - 32);
    expect(await download(modestKey, other)).toBe(200);
  });
});
