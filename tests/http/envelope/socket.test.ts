import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';
import { type RawServer, serveRaw, toResponse } from '../raw-http.ts';

let atlas: TestApp;
let server: RawServer;
let authorization: string;
beforeAll(async () => {
  atlas = await startTestApp();
  server = serveRaw(atlas);
  authorization = `Authorization: Bearer ${await atlas.key()}`;
}, START_TIMEOUT_MS);
afterAll(async () => {
  await server.stop();
  await atlas.close();
});

const HOST = 'Host: atlas.test';

test('a plain request over a socket is served', async () => {
  const { status, body } = await server.send(['GET /v1/ping HTTP/1.1', HOST, authorization]);
  expect({ status, body }).toEqual({ status: 200, body: '{"pong":true}' });
});

describe('a Host header is rejected if', () => {
  test.each([
    ['there are two', ['Host: atlas.test', 'Host: evil.test']],
    ['there are two alike', ['Host: atlas.test', 'Host: atlas.test']],
    ['it holds a path', ['Host: atlas.test/v1/admin']],
    ['it holds a path and hides the rest in a query', ['Host: atlas.test/health?']],
    ['it holds a fragment', ['Host: atlas.test#']],
    ['it holds a user', ['Host: user@atlas.test']],
    ['it is empty', ['Host:']],
    ['it holds a space', ['Host: atlas test']],
    ['its port is invalid', ['Host: atlas.test:port']],
  ])('%s', async (_name, hosts) => {
    for (const path of ['/v1/ping', '/health', '/nothing']) {
      const response = await server.send([`GET ${path} HTTP/1.1`, ...hosts, authorization]);
      await expectProblem(atlas, toResponse(response), 400, 'invalid_host');
    }
  });

  test('it is missing', async () => {
    const response = await server.send(['GET /v1/ping HTTP/1.1', authorization]);
    expect(response.status).toBe(400);
    expect(response.body).not.toContain('pong');
  });
});

test.each(['atlas.test', 'atlas.test:8000', '127.0.0.1:8000', '[::1]:8000', 'localhost'])(
  'the Host %s is accepted',
  async (host) => {
    expect((await server.send(['GET /health HTTP/1.1', `Host: ${host}`])).status).toBe(200);
  },
);

test('TRACE is a 405 that lists the allowed methods and echoes nothing', async () => {
  const response = await server.send(['TRACE /v1/ping HTTP/1.1', HOST, authorization, 'X-Secret: mirror']);
  expect(response.headers.get('allow')).toBe('GET, HEAD');
  expect(response.body).not.toMatch(/mirror|atlas_live/);
  await expectProblem(atlas, toResponse(response), 405, 'method_not_allowed');
  const nowhere = await server.send(['TRACE /nothing HTTP/1.1', HOST]);
  await expectProblem(atlas, toResponse(nowhere), 404, 'not_found');
});

test('an X-Request-ID of 5,000 bytes is replaced, in the header and in the problem', async () => {
  const id = 'a'.repeat(5000);
  const response = await server.send(['GET /nothing HTTP/1.1', HOST, `X-Request-ID: ${id}`]);
  const { requestId } = await expectProblem(atlas, toResponse(response), 404, 'not_found');
  expect(requestId).toMatch(/^[\w.]{12}-[0-9a-z]+$/);
});

test.each(['', 'a b', 'a"b', '<script>', 'é', 'a'.repeat(129), 'a;b', '{}'])(
  'the X-Request-ID %p is replaced',
  async (id) => {
    const { status, headers } = await server.send(['GET /health HTTP/1.1', HOST, `X-Request-ID: ${id}`]);
    expect(status).toBe(200);
    expect(headers.get('x-request-id')).toMatch(/^[\w.]{12}-[0-9a-z]+$/);
  },
);

test.each(['a', 'a'.repeat(128), '4bf92f35:77/b3=4d_a6+a3.ce-92'])(
  'the X-Request-ID %s is used',
  async (id) => {
    const { headers } = await server.send(['GET /health HTTP/1.1', HOST, `X-Request-ID: ${id}`]);
    expect(headers.get('x-request-id')).toBe(id);
  },
);

const post = (length: string, ...more: string[]) => [
  'POST /v1/accounts HTTP/1.1',
  HOST,
  authorization,
  'Content-Type: application/json',
  length,
  ...more,
];

test('a JSON body of a million levels is rejected, and the process survives', async () => {
  const deep = '['.repeat(1_000_000);
  const response = await server.send(post(`Content-Length: ${deep.length}`), deep);
  await expectProblem(atlas, toResponse(response), 400, 'body_too_deep');
  const closed = `${'['.repeat(500_000)}${']'.repeat(500_000)}`;
  const complete = await server.send(post(`Content-Length: ${closed.length}`), closed);
  await expectProblem(atlas, toResponse(complete), 400, 'body_too_deep');
  expect((await server.send(['GET /health HTTP/1.1', HOST])).status).toBe(200);
});

test('a body that is too large is rejected by its Content-Length before it is sent', async () => {
  const response = await server.send(post('Content-Length: 2000000'));
  await expectProblem(atlas, toResponse(response), 413, 'body_too_large');
});

test('a chunked body that grows too large is rejected', async () => {
  const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`;
  const response = await server.send(post('Transfer-Encoding: chunked'), `${chunk.repeat(17)}0\r\n\r\n`);
  await expectProblem(atlas, toResponse(response), 413, 'body_too_large');
});

test('a chunked body within the limit is served', async () => {
  const json = '{"ledger":"EUR"}';
  const body = `${json.length.toString(16)}\r\n${json}\r\n0\r\n\r\n`;
  expect((await server.send(post('Transfer-Encoding: chunked'), body)).status).toBe(201);
});

test('Content-Length with chunked encoding, or two of them, are rejected', async () => {
  for (const lengths of [
    ['Content-Length: 3', 'Transfer-Encoding: chunked'],
    ['Content-Length: 3', 'Content-Length: 4'],
  ] as const) {
    const { status } = await server.send(post(lengths[0], lengths[1]), '0\r\n\r\n');
    expect(status).toBe(400);
  }
});

test('a missing body is rejected, with and without a Content-Length', async () => {
  for (const length of ['Content-Length: 0', 'X-Nothing: 1']) {
    await expectProblem(atlas, toResponse(await server.send(post(length))), 400, 'body_missing');
  }
});

test('an Idempotency-Key with UTF-8 bytes is rejected', async () => {
  const key = Buffer.from('clé', 'utf8').toString('latin1');
  const head = ['POST /v1/transfers HTTP/1.1', HOST, authorization, 'Content-Type: application/json'];
  const response = await server.send([...head, `Idempotency-Key: ${key}`, 'Content-Length: 2'], '{}');
  await expectProblem(atlas, toResponse(response), 400, 'invalid_request', ['/headers/Idempotency-Key']);
});

describe('authorization uses the matched route, however its path is written:', () => {
  test.each([
    '/v1/%70ing',
    '/%761/ping',
    '/v1/x/../ping',
    '/v1/./ping',
    'http://evil.test/v1/ping',
    '/v1\\ping',
    '/v1/ping?a=b',
  ])('%s', async (target) => {
    const open = await server.send([`GET ${target} HTTP/1.1`, HOST]);
    await expectProblem(atlas, toResponse(open), 401, 'unauthenticated');
    const reader = `Authorization: Bearer ${await atlas.key(['accounts:read'])}`;
    const wrong = await server.send([`GET ${target} HTTP/1.1`, HOST, reader]);
    await expectProblem(atlas, toResponse(wrong), 403, 'forbidden');
  });

  test.each(['//v1/ping', '/v1/ping/', '/v1%2Fping', '/V1/ping', '/v1/ping%00', '*'])(
    '%s matches nothing',
    async (target) => {
      const { status, body } = await server.send([`GET ${target} HTTP/1.1`, HOST, authorization]);
      expect([400, 404]).toContain(status);
      expect(body).not.toContain('pong');
    },
  );
});

test('oversized headers are rejected', async () => {
  const { status } = await server.send(['GET /health HTTP/1.1', HOST, `X-Long: ${'a'.repeat(100_000)}`]);
  expect(status).toBe(431);
});

test('two requests on one connection get two responses with different request IDs', async () => {
  const first = `GET /health HTTP/1.1\r\n${HOST}\r\n\r\n`;
  const second = ['GET /health/live HTTP/1.1', HOST];
  const { body, headers } = await server.send([first + second[0], second[1]!]);
  expect(headers.get('x-request-id')).toMatch(/^[\w.]{12}-[0-9a-z]+$/);
  expect(body).toContain('{"alive":true}');
  expect(body).not.toContain(headers.get('x-request-id')!);
});
