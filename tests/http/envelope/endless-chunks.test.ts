import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { connect } from 'node:net';
import { freePort } from '../../../infra/free-port.ts';
import { type Listener, listen } from '../../../src/cluster/listener.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

const PIECE_MS = 5;
const END_MS = 3000;

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

/** Sends the start of a chunked body, and more of it until the server ends the connection, or for too long. */
function send(
  line: string,
  start: string,
  more: string | null,
  key = '',
): Promise<{ text: string; isEnded: boolean }> {
  const head = [
    `${line} HTTP/1.1`,
    'Host: atlas.test',
    'Content-Type: application/json',
    ...(key === '' ? [] : [`Authorization: Bearer ${key}`]),
    'Transfer-Encoding: chunked',
  ];
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(`${head.join('\r\n')}\r\n\r\n${start}`));
    const sending = setInterval(() => more !== null && socket.write(more), PIECE_MS);
    const end = (isEnded: boolean) => {
      clearInterval(sending);
      clearTimeout(tooLong);
      socket.destroy();
      resolve({ text, isEnded });
    };
    const tooLong = setTimeout(() => end(false), more === null ? END_MS / 10 : END_MS);
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.on('close', () => end(true));
    // The server may reset the connection, because more arrives than it reads.
    socket.on('error', () => {});
  });
}

describe('a body in chunks without end', () => {
  const bodies = {
    zeros: ['0', '0'.repeat(4096)],
    'with extensions': ['', `1;${'a'.repeat(4000)}\r\n \r\n`],
  } as const;
  const requests = [
    ['GET /health/live', 200],
    ['GET /v1/accounts', 401],
    ['POST /nope', 404],
    ['POST /health/live', 405],
    ['POST /v1/transfers', 401],
    ['POST /v1/files', 401],
  ] as const;
  for (const [what, [start, more]] of Object.entries(bodies))
    test.each(requests)(`(${what}) to %s ends its connection with the response`, async (line, status) => {
      const { text, isEnded } = await send(line, start, more);
      expect(text).toStartWith(`HTTP/1.1 ${status}`);
      expect(text.toLowerCase()).toContain('connection: close');
      expect(isEnded).toBe(true);
    });
});

test('a chunked body that was read leaves its connection open, valid or not', async () => {
  for (const json of ['{}', '{', '']) {
    const chunk = json === '' ? '' : `${json.length.toString(16)}\r\n${json}\r\n`;
    const { text, isEnded } = await send('POST /v1/transfers', `${chunk}0\r\n\r\n`, null, token);
    expect(text).toStartWith('HTTP/1.1 4');
    expect(text.toLowerCase()).not.toContain('connection: close');
    expect(isEnded).toBe(false);
  }
});
