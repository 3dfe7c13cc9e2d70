import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { connect } from 'node:net';
import { freePort } from '../../../infra/free-port.ts';
import { type Listener, listen } from '../../../src/cluster/listener.ts';
import { PieceReader } from '../../../src/utils/piece-reader.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

const CHUNKS = 100_000;
// A socket is read 512 KiB at a time: a few dozen pieces of what has arrived, instead of one for each chunk.
const PIECES_MAX = 1000;

let atlas: TestApp;
let listener: Listener;
let port: number;
let token: string;
beforeAll(async () => {
  atlas = await startTestApp();
  port = await freePort();
  listener = listen(atlas, { ...atlas.deps, config: { ...atlas.deps.config, API_PORT: port } });
  token = await atlas.key();
}, START_TIMEOUT_MS);
afterAll(async () => {
  await listener.stop();
  await atlas.close();
});

/** Posts a body of spaces, one per chunk, and a text at its end. Returns the response. */
function postInChunks(to: number, path: string, end: string): Promise<string> {
  const chunks = `${'1\r\n \r\n'.repeat(CHUNKS)}${end.length.toString(16)}\r\n${end}\r\n0\r\n\r\n`;
  const head = [
    `POST ${path} HTTP/1.1`,
    'Host: atlas.test',
    `Authorization: Bearer ${token}`,
    'Content-Type: application/json',
    'Connection: close',
    'Transfer-Encoding: chunked',
  ];
  return new Promise((resolve, reject) => {
    const socket = connect(to, '127.0.0.1', () => socket.write(`${head.join('\r\n')}\r\n\r\n${chunks}`));
    let received = '';
    socket.on('data', (chunk) => {
      received += chunk;
    });
    socket.on('close', () => resolve(received));
    socket.on('error', reject);
  });
}

describe('a body of a hundred thousand chunks', () => {
  test('is read in pieces of what has arrived', async () => {
    let pieces = 0;
    let bytes = 0;
    const server = Bun.serve({
      port: 0,
      async fetch(request) {
        const reader = new PieceReader(request.body!);
        for (let piece = await reader.read(); piece !== null; piece = await reader.read()) {
          pieces++;
          bytes += piece.byteLength;
        }
        return new Response(null, { status: 204 });
      },
    });
    expect(await postInChunks(server.port!, '/', '{}')).toStartWith('HTTP/1.1 204');
    expect(bytes).toBe(CHUNKS + 2);
    expect(pieces).toBeLessThan(PIECES_MAX);
    await server.stop();
  });

  test('is read like any other', async () => {
    const account = JSON.stringify({ name: 'Alice', ledger: 'EUR' });
    const response = await postInChunks(port, '/v1/accounts', account);
    expect(response).toStartWith('HTTP/1.1 201');
  });

  test('is not read without a route for it', async () => {
    expect(await postInChunks(port, '/nowhere', '{ not JSON')).toStartWith('HTTP/1.1 404');
  });
});
