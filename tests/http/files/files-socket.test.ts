import { afterAll, beforeAll, expect, test } from 'bun:test';
import { connect, type Socket } from 'node:net';
import { freePort } from '../../../infra/free-port.ts';
import { type Listener, listen } from '../../../src/cluster/listener.ts';
import { freshDatabase } from '../../support/database.ts';
import {
  type FileResource,
  type FilesApp,
  gzipLike,
  MIB,
  startFilesApp,
  uploadFile,
} from '../../support/file-steps.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';

// Tests that need real connections, with the listener of production.
let atlas: FilesApp;
let listener: Listener;
let port: number;
let key: string;
const sockets = new Set<Socket>();

beforeAll(async () => {
  await freshDatabase();
  atlas = await startFilesApp('directory', { FILES_MAX_BYTES: String(64 * MIB) });
  key = await atlas.key();
  port = await freePort();
  listener = listen(atlas, { ...atlas.deps, config: { ...atlas.deps.config, API_PORT: port } });
}, START_TIMEOUT_MS);
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await listener.stop();
  await atlas.close();
});

/** A raw connection. */
function open(...head: string[]) {
  const socket = connect(port, '127.0.0.1');
  sockets.add(socket);
  socket.on('error', () => {});
  socket.write(`${[...head, 'Host: atlas.test', `Authorization: Bearer ${key}`].join('\r\n')}\r\n\r\n`);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => void chunks.push(chunk));
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  return { socket, closed, received: () => Buffer.concat(chunks) };
}

const url = (path: string) => `http://127.0.0.1:${port}${path}`;
const withKey = (headers: Record<string, string> = {}) => ({
  headers: { Authorization: `Bearer ${key}`, ...headers },
});

test('a file is uploaded and downloaded over a connection', async () => {
  const bytes = gzipLike(20 * MIB + 7);
  const response = await fetch(url('/v1/files'), { method: 'POST', body: bytes, ...withKey() });
  expect(response.status).toBe(201);
  const { id } = (await response.json()) as FileResource;
  const read = await fetch(url(`/v1/files/${id}/content`), withKey());
  expect(Buffer.compare(Buffer.from(await read.bytes()), bytes)).toBe(0);
  const part = await fetch(url(`/v1/files/${id}/content`), withKey({ Range: 'bytes=1-3' }));
  expect({ status: part.status, bytes: Buffer.from(await part.bytes()) }).toEqual({
    status: 206,
    bytes: bytes.subarray(1, 4),
  });
});

test('an upload whose client disconnects leaves nothing behind', async () => {
  const before = await atlas.rows();
  const { socket } = open('POST /v1/files HTTP/1.1', `Content-Length: ${10 * MIB}`);
  socket.write(gzipLike(MIB));
  await until(async () => Object.keys(await atlas.rows()).length > Object.keys(before).length);
  socket.destroy();
  await until(() => atlas.files.stats.uploadsInFlight === 0);
  expect(await atlas.rows()).toEqual(before);
  expect(await atlas.objectIds()).toEqual(Object.keys(before));
});

test('an upload that is too large is rejected before its body is sent, and the connection is closed', async () => {
  const { received, closed } = open('POST /v1/files HTTP/1.1', `Content-Length: ${65 * MIB}`);
  await closed;
  expect(received().toString()).toContain('413 ');
  expect(received().toString()).toContain('/problems/body_too_large');
});

test('the rest of the body of a rejected upload is not read', async () => {
  const { socket, received, closed } = open(
    'POST /v1/files HTTP/1.1',
    'Content-Type: text/html',
    'Transfer-Encoding: chunked',
  );
  const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(65_536), Buffer.from('\r\n')]);
  let isOpen = true;
  void closed.then(() => {
    isOpen = false;
  });
  // The client would send indefinitely.
  const send = () => {
    while (isOpen && socket.write(chunk));
  };
  socket.on('drain', send);
  send();
  await closed;
  expect(received().toString()).toContain('/problems/file_type_refused');
});

test('a download whose client disconnects ends, and its file is closed', async () => {
  const { id } = await uploadFile(atlas, gzipLike(30 * MIB));
  const { socket, received } = open(`GET /v1/files/${id}/content HTTP/1.1`);
  await until(() => received().length > 0);
  socket.pause();
  expect(atlas.files.stats.downloadsInFlight).toBe(1);
  // If the client does not read, neither does the download.
  const sent = atlas.files.stats.bytesOut;
  socket.destroy();
  await until(() => atlas.files.stats.downloadsInFlight === 0);
  expect(atlas.files.stats.bytesOut - sent).toBeLessThan(30 * MIB);
});

test('corruption in the middle cuts the connection, so that it does not look complete', async () => {
  const bytes = gzipLike(3 * MIB);
  const { id } = await uploadFile(atlas, bytes);
  await atlas.spoil(id, (whole) => {
    whole[2 * MIB + 5]! ^= 1;
    return whole;
  });
  const response = await fetch(url(`/v1/files/${id}/content`), withKey());
  expect(response.status).toBe(200);
  await expect(response.bytes()).rejects.toThrow();
  const { received, closed } = open(`GET /v1/files/${id}/content HTTP/1.1`);
  await closed;
  expect(received().subarray(-5).toString()).not.toBe('0\r\n\r\n');
  expect(received().length).toBeLessThan(3 * MIB);
});
