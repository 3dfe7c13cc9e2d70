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
let content: string;
beforeAll(async () => {
  atlas = await startTestApp();
  port = await freePort();
  listener = listen(atlas, { ...atlas.deps, config: { ...atlas.deps.config, API_PORT: port } });
  token = await atlas.key();
  const { headers } = await fetch(`http://127.0.0.1:${port}/v1/files`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${token}` },
    body: 'a file',
  });
  content = `${headers.get('location')}/content`;
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
  endMs = END_MS,
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
    const tooLong = setTimeout(() => end(false), more === null ? END_MS / 10 : endMs);
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

// What is read from a connection is only known on Linux.
describe.if(process.platform === 'linux')('a body in chunks without end, with a key,', () => {
  const ID = '00000000-0000-7000-8000-00000000000a';
  const bodies = {
    zeros: ['0', '0'.repeat(65_536)],
    'with extensions': ['', `1;${'a'.repeat(4000)}\r\n \r\n`.repeat(16)],
    'with extensions and some data': ['', `40;${'a'.repeat(4000)}\r\n${' '.repeat(64)}\r\n`.repeat(16)],
    'of small chunks': ['', '1;aaaaaaaa\r\n \r\n'.repeat(4000)],
  } as const;
  const others = [
    'POST /v1/files',
    'POST /v1/transfers/batch',
    'POST /v1/accounts',
    `DELETE /v1/webhooks/${ID}`,
    `PATCH /v1/webhooks/${ID}`,
    `POST /v1/files/${ID}/complete`,
  ];
  for (const [what, [start, more]] of Object.entries(bodies))
    test.each(['POST /v1/transfers', ...(what === 'zeros' ? others : [])])(
      `(${what}) to %s is ended long before its deadline, and its owner may send no other in chunks`,
      async (line) => {
        // Each has an owner of its own, because a sender is refused for half a minute.
        const key = await atlas.key(undefined, `${what} ${line}`);
        const { text, isEnded } = await send(line, start, more, key, 10_000);
        expect(text).toMatch(/^HTTP\/1.1 4(?:29|13)/);
        expect(text.toLowerCase()).toContain('connection: close');
        expect(isEnded).toBe(true);
        if (text.includes(' 413 ')) return;
        expect(text).toContain('retry with a Content-Length');
        const again = await send('POST /v1/transfers', '2\r\n{}\r\n0\r\n\r\n', null, key);
        expect(again.text).toStartWith('HTTP/1.1 429');
        const declared = await fetch(`http://127.0.0.1:${port}/v1/accounts`, {
          method: 'POST',
          headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
          body: JSON.stringify({ name: 'with a Content-Length', currency: 'EUR' }),
        });
        expect(declared.status).not.toBe(429);
      },
      20_000,
    );

  test('(zeros) is refused where the response is a stream, and would last as long', async () => {
    for (const path of ['/v1/events/stream', content]) {
      const { text, isEnded } = await send(`GET ${path}`, '0', '0'.repeat(4096), token);
      expect(text).toStartWith('HTTP/1.1 400');
      expect(text).toContain('/headers/Transfer-Encoding');
      expect(isEnded).toBe(true);
    }
  });
});

test('a chunked body that arrives slowly, in very small chunks, is taken', async () => {
  const key = await atlas.key(undefined, 'slow');
  const json = '{"name":"slow","currency":"EUR"}';
  const chunks = [...json].map((byte) => `1\r\n${byte}\r\n`);
  const response = await new Promise<string>((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', async () => {
      socket.write(
        `POST /v1/accounts HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
      );
      for (const chunk of [...chunks, '0\r\n\r\n']) {
        socket.write(chunk);
        await Bun.sleep(30);
      }
    });
    socket.on('data', (data) => {
      resolve(String(data));
      socket.destroy();
    });
    socket.on('error', reject);
  });
  expect(response).not.toStartWith('HTTP/1.1 429');
  expect(response).toMatch(/^HTTP\/1.1 (?:201|422|400)/);
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
