import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { connect } from 'node:net';
import { freePort } from '../../../infra/free-port.ts';
import { type Listener, listen } from '../../../src/cluster/listener.ts';
import {
  type AccountResource,
  newKey,
  openAccount,
  postTransfer,
  readAccount,
} from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';

let atlas: TestApp;
let listener: Listener;
let port: number;
let token: string;
let bank: AccountResource;
beforeAll(async () => {
  atlas = await startTestApp();
  port = await freePort();
  listener = listen(atlas, { ...atlas.deps, config: { ...atlas.deps.config, API_PORT: port } });
  token = await atlas.key();
  bank = await openAccount(atlas);
}, START_TIMEOUT_MS);
afterAll(async () => {
  await listener.stop();
  await atlas.close();
});

type Then = 'waits' | 'half-closes';

/** Sends a text in one segment. Returns what arrives until the server closes, or until `count` responses have. */
function exchange(
  text: string,
  then: Then = 'waits',
  to = port,
  count = Number.POSITIVE_INFINITY,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: to, host: '127.0.0.1', allowHalfOpen: true });
    let received = '';
    const done = () => {
      socket.destroy();
      resolve(received);
    };
    socket.on('data', (chunk) => {
      received += chunk;
      if (received.split('HTTP/1.1 ').length > count) done();
    });
    socket.on('end', done);
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' ? done() : reject(error),
    );
    if (then === 'waits') socket.write(text);
    else socket.end(text);
  });
}

const head = (line: string, ...more: string[]) =>
  [`${line} HTTP/1.1`, 'Host: atlas.test', `Authorization: Bearer ${token}`, ...more, '', ''].join('\r\n');
const orderTo = ({ id }: AccountResource) => ({ debitAccountId: bank.id, creditAccountId: id, amount: 5 });
function transferTo(account: AccountResource, key: string): string {
  const body = JSON.stringify(orderTo(account));
  const fields = [
    `Idempotency-Key: ${key}`,
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
  ];
  return head('POST /v1/transfers', ...fields) + body;
}

describe('two requests in one segment', () => {
  test('are both served if the first needs no wait', async () => {
    // The key is read from the database once.
    await exchange(head('GET /v1/ping'), 'waits', port, 1);
    const received = await exchange(head('GET /v1/ping').repeat(2), 'waits', port, 2);
    expect(received.match(/HTTP\/1\.1 200 /g)).toHaveLength(2);
  });

  test('that pay are refused together: nothing is posted, and a retry of each posts it once', async () => {
    const account = await openAccount(atlas);
    const keys = [newKey(), newKey()];
    expect(await exchange(keys.map((key) => transferTo(account, key)).join(''))).toBe('');
    expect(await readAccount(atlas, account.id)).toMatchObject({ version: 0 });
    for (const key of keys) {
      const response = await postTransfer(atlas, orderTo(account), key);
      expect([response.status, response.headers.get('idempotency-replayed')]).toEqual([201, null]);
    }
    expect(await readAccount(atlas, account.id)).toMatchObject({ balance: 10, version: 2 });
  });
});

test('a payment of a client that half-closes may be posted, and a retry returns it', async () => {
  const [account, key] = [await openAccount(atlas), newKey()];
  expect(await exchange(transferTo(account, key), 'half-closes')).toBe('');
  const retry = async () => {
    const response = await postTransfer(atlas, orderTo(account), key);
    return response.status === 201;
  };
  await until(retry);
  expect(await readAccount(atlas, account.id)).toMatchObject({ balance: 5, version: 1 });
});

// Those that Bun parses. It closes the connection for any other.
const METHODS =
  'ACL BIND CHECKOUT COPY DELETE LINK LOCK M-SEARCH MERGE MKACTIVITY MKCALENDAR MKCOL MOVE NOTIFY OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT QUERY REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND UNLINK UNLOCK UNSUBSCRIBE'.split(
    ' ',
  );

test('a method that a path does not support is a 405 with those it does, whatever its name', async () => {
  for (const method of METHODS) {
    const received = await exchange(head(`${method} /v1/ping`, 'Connection: close'));
    expect({ method, received }).toEqual({ method, received: expect.stringMatching(/^HTTP\/1\.1 405 /) });
    expect(received).toMatch(/^allow: GET, HEAD\r$/im);
    expect(received).toContain('/problems/method_not_allowed');
  }
});

/**
 * What Bun does on its own, before or behind any handler. docs/api/reliability-endpoints.md ("Connections") documents it. If one
 * of these fails, Bun has changed: correct the page, and expect the better behavior here.
 */
describe('Bun still', () => {
  const serve = () =>
    Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: async () => {
        await Bun.sleep(20);
        return new Response('served');
      },
    });
  const get = head('GET /').replace(/Authorization.*\r\n/, '');

  test.each([
    [
      'closes the connection if a second request arrives before the response to the first',
      get + get,
      'waits',
    ],
    ['closes the connection of a client that half-closes, without the response', get, 'half-closes'],
    ['closes the connection for a method it does not know', get.replace('GET', 'FOO'), 'waits'],
    ['closes the connection for a method in lower case', get.replace('GET', 'get'), 'waits'],
  ] as const)('%s', async (_, text, then) => {
    const server = serve();
    expect(await exchange(text, then, server.port, 1)).toBe('');
    await server.stop(true);
  });
});
