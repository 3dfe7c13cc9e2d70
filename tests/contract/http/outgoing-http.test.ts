import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import net from 'node:net';
import { OutgoingHttp, type OutgoingHttpOptions } from '../../../src/adapters/http/outgoing-http.ts';
import { HEAD_SIZE_BYTES_MAX } from '../../../src/utils/response-head.ts';
import { canCertify, certify, type TestCertificate } from '../../support/certificates.ts';
import { until } from '../../support/until.ts';

const NAME = 'hooks.example.com';
const never = new AbortController().signal;
const servers: { stop(force: boolean): unknown }[] = [];
afterAll(() => {
  for (const server of servers) server.stop(true);
});

const post = (http: OutgoingHttp, url: string, options: { timeoutMs?: number; signal?: AbortSignal } = {}) =>
  http.post({
    url,
    headers: { 'X-Test': 'yes' },
    body: '{"a":"ö"}',
    timeoutMs: 5000,
    signal: never,
    ...options,
  });
const sender = (options: Partial<OutgoingHttpOptions> = {}) =>
  new OutgoingHttp({ allowedHosts: ['127.0.0.1'], ...options });
const resolving = (...addresses: string[]) => {
  const asked: string[] = [];
  const resolve = async (host: string) => {
    asked.push(host);
    return addresses;
  };
  return { asked, resolve };
};

/** A target that responds with exactly these bytes, and counts its connections. */
function rawTarget(response: string | null, { close = true } = {}) {
  const target = { connections: 0, received: '', port: 0, closed: 0 };
  const server = net.createServer((socket) => {
    target.connections++;
    socket.on('error', () => {});
    socket.on('close', () => target.closed++);
    socket.on('data', (chunk) => {
      target.received += chunk.toString();
      if (response === null) return;
      socket.write(response);
      if (close) socket.end();
    });
  });
  server.listen(0, '127.0.0.1');
  target.port = (server.address() as net.AddressInfo).port;
  servers.push({ stop: () => server.close() });
  return target;
}

describe('an allowed target receives the request', () => {
  test('unchanged, and its status and Retry-After are returned', async () => {
    const target = rawTarget('HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n\r\nlater');
    const response = await post(sender(), `http://127.0.0.1:${target.port}/a%20b?c=d#fragment`);
    expect(response).toEqual({ status: 503, retryAfter: '7' });
    expect(target.received).toBe(
      `POST /a%20b?c=d HTTP/1.1\r\nHost: 127.0.0.1:${target.port}\r\nX-Test: yes\r\nContent-Length: 10\r\n` +
        'Connection: close\r\n\r\n{"a":"ö"}',
    );
  });

  test.each([301, 302, 303, 307, 308])('and a redirect (%p) is not followed', async (status) => {
    const elsewhere = rawTarget('HTTP/1.1 200 OK\r\n\r\n');
    const target = rawTarget(
      `HTTP/1.1 ${status} Moved\r\nLocation: http://127.0.0.1:${elsewhere.port}/\r\n\r\n`,
    );
    expect(await post(sender(), `http://127.0.0.1:${target.port}/`)).toEqual({ status, retryAfter: null });
    expect(elsewhere.connections).toBe(0);
  });

  test('directly, even if the environment names a proxy', async () => {
    const proxy = rawTarget('HTTP/1.1 200 OK\r\n\r\n');
    const target = rawTarget('HTTP/1.1 204 No Content\r\n\r\n');
    const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy'];
    const before = names.map((name) => process.env[name]);
    try {
      for (const name of names) process.env[name] = `http://127.0.0.1:${proxy.port}`;
      expect((await post(sender(), `http://127.0.0.1:${target.port}/`)).status).toBe(204);
    } finally {
      for (const [i, name] of names.entries()) {
        if (before[i] === undefined) delete process.env[name];
        else process.env[name] = before[i];
      }
    }
    expect(proxy.connections).toBe(0);
  });

  test('at the next address if the first does not accept', async () => {
    const target = rawTarget('HTTP/1.1 200 OK\r\n\r\n');
    const { resolve } = resolving('127.0.0.2', '127.0.0.1');
    const http = sender({ allowedHosts: [NAME], resolve });
    expect((await post(http, `http://${NAME}:${target.port}/`)).status).toBe(200);
  });
});

describe('a request fails when', () => {
  const failureOf = (work: Promise<unknown>) =>
    work.then(
      () => 'responded',
      (error) => error.failure,
    );

  test.each([
    ['the response is not HTTP', 'SSH-2.0-OpenSSH\r\n', 'invalid_answer'],
    ['the response ends in its head', 'HTTP/1.1 200 OK\r\nServer', 'invalid_answer'],
    ['the head never ends', `HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(HEAD_SIZE_BYTES_MAX)}`, 'invalid_answer'],
    ['the response is empty', '', 'invalid_answer'],
  ])('%s', async (_what, text, failure) => {
    const target = rawTarget(text);
    expect(await failureOf(post(sender(), `http://127.0.0.1:${target.port}/`))).toBe(failure);
  });

  test('it times out, and the connection is closed', async () => {
    const target = rawTarget(null);
    const url = `http://127.0.0.1:${target.port}/`;
    expect(await failureOf(post(sender(), url, { timeoutMs: 100 }))).toBe('timeout');
    await until(() => target.closed > 0);
    expect(target.connections).toBe(1);
  });

  test('the caller aborts, and the connection is closed', async () => {
    const target = rawTarget(null);
    const controller = new AbortController();
    const failure = failureOf(
      post(sender(), `http://127.0.0.1:${target.port}/`, { signal: controller.signal }),
    );
    await until(() => target.received);
    controller.abort();
    expect(await failure).toBe('timeout');
    await until(() => target.closed > 0);
  });

  test('nothing listens, or the name does not resolve, or not in time', async () => {
    const server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() });
    await server.stop(true);
    expect(await failureOf(post(sender(), `http://127.0.0.1:${server.port}/`))).toBe('connection_failed');
    const lost = sender({ resolve: () => Promise.reject(new Error('ENOTFOUND')) });
    expect(await failureOf(post(lost, `https://${NAME}/`))).toBe('name_not_resolved');
    expect(await failureOf(post(sender({ resolve: async () => [] }), `https://${NAME}/`))).toBe(
      'name_not_resolved',
    );
    const silent = sender({ resolve: () => new Promise(() => {}) });
    expect(await failureOf(post(silent, `https://${NAME}/`, { timeoutMs: 50 }))).toBe('timeout');
  });

  test('but not when the body does not end: the status is returned, and the rest is not read', async () => {
    const endless = rawTarget(`HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(1_000_000)}`, { close: false });
    expect((await post(sender(), `http://127.0.0.1:${endless.port}/`)).status).toBe(200);
    await until(() => endless.closed > 0);
    const slow = rawTarget('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx', { close: false });
    expect((await post(sender(), `http://127.0.0.1:${slow.port}/`)).status).toBe(200);
  });
});

describe('nothing is sent', () => {
  const refused = async (http: OutgoingHttp, url: string) => {
    await expect(post(http, url)).rejects.toMatchObject({ failure: 'target_refused' });
    await expect(http.check(url, never)).rejects.toMatchObject({ code: 'webhook_target_refused' });
  };

  test('to an address that is not public, in any notation', async () => {
    const target = rawTarget('HTTP/1.1 200 OK\r\n\r\n');
    const http = new OutgoingHttp({ allowedHosts: [] });
    for (const host of [
      '127.0.0.1',
      '127.1',
      '2130706433',
      '0x7f000001',
      '0177.0.0.1',
      '%31%32%37.0.0.1',
      '127.0.0.1.',
      '[::1]',
      '[::ffff:127.0.0.1]',
      '[64:ff9b::7f00:1]',
      '[2002:7f00:1::]',
      '0.0.0.0',
      '169.254.169.254',
      'localhost',
    ]) {
      await refused(http, `https://${host}:${target.port}/`);
    }
    expect(target.connections).toBe(0);
  });

  test('to a name with one address that is not public', async () => {
    const { resolve } = resolving('93.184.215.14', '2606:4700:4700::1111', '10.0.0.1');
    await refused(new OutgoingHttp({ allowedHosts: [], resolve }), `https://${NAME}/`);
  });

  test('to a name that was public when it was checked, and no longer is (DNS rebinding)', async () => {
    const target = rawTarget('HTTP/1.1 200 OK\r\n\r\n');
    const lookups = [['93.184.215.14'], ['127.0.0.1']];
    const http = new OutgoingHttp({ allowedHosts: [], resolve: async () => lookups.shift()! });
    const url = `https://${NAME}:${target.port}/`;
    await http.check(url, never);
    await expect(post(http, url)).rejects.toMatchObject({ failure: 'target_refused' });
    expect(target.connections).toBe(0);
  });

  test.each([
    ['plain http', `http://${NAME}/`],
    ['another protocol', `ftp://${NAME}/`],
    ['a file', 'file:///etc/passwd'],
    ['a name and a password', `https://user:secret@${NAME}/`],
    ['a low port', `https://${NAME}:22/`],
  ])('to a URL with %s', async (_what, url) => {
    const { asked, resolve } = resolving('93.184.215.14');
    await refused(new OutgoingHttp({ allowedHosts: [], resolve }), url);
    expect(asked).toEqual([]);
  });

  test('to a subdomain of an allowed name, or a name that only starts like it', async () => {
    const { resolve } = resolving('127.0.0.1');
    const http = new OutgoingHttp({ allowedHosts: [NAME], resolve });
    for (const host of [`sub.${NAME}`, `${NAME}.evil.test`, 'example.com'])
      await refused(http, `https://${host}/`);
    await http.check(`http://${NAME.toUpperCase()}/`, never);
  });

  test('and the error is an abort when the caller aborts during name resolution', async () => {
    const controller = new AbortController();
    const checked = sender({ resolve: () => new Promise(() => {}) })
      .check(`https://${NAME}/`, controller.signal)
      .catch((error) => error);
    controller.abort();
    expect(await checked).toMatchObject({ code: 'request_aborted' });
  });

  test('and the error does not reveal the address', async () => {
    const { resolve } = resolving('10.20.30.40');
    const http = new OutgoingHttp({ allowedHosts: [], resolve });
    const error = await http.check(`https://${NAME}/`, never).catch((error) => error);
    expect(error.message).not.toContain('10.20');
  });
});

describe.if(canCertify())('over TLS', () => {
  let certificate: TestCertificate;
  let port: number;
  const seen: string[] = [];
  beforeAll(async () => {
    certificate = await certify([NAME, '127.0.0.1']);
    const server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      tls: { key: certificate.key, cert: certificate.cert },
      fetch: async (request) => {
        seen.push(`${request.headers.get('host')} ${await request.text()}`);
        return new Response('thanks', { status: 202 });
      },
    });
    servers.push(server);
    port = server.port!;
  });

  test('the connection goes to the checked address, and the certificate is verified for the name in the URL', async () => {
    const { asked, resolve } = resolving('127.0.0.1');
    const http = sender({ allowedHosts: [NAME], resolve, ca: certificate.ca });
    expect((await post(http, `https://${NAME}:${port}/`)).status).toBe(202);
    expect(seen.splice(0)).toEqual([`${NAME}:${port} {"a":"ö"}`]);
    // Once: a second lookup for the connection could return another address.
    expect(asked).toEqual([NAME]);
    expect((await post(sender({ ca: certificate.ca }), `https://127.0.0.1:${port}/`)).status).toBe(202);
    seen.length = 0;
  });

  test.each([
    ['a certificate of another name', 'other.example.com', true],
    ['an untrusted certificate', NAME, false],
  ])('%s is refused before anything is sent', async (_what, name, trusts) => {
    const { resolve } = resolving('127.0.0.1');
    const http = sender({ allowedHosts: [name], resolve, ...(trusts && { ca: certificate.ca }) });
    await expect(post(http, `https://${name}:${port}/`)).rejects.toMatchObject({ failure: 'tls_failed' });
    expect(seen).toEqual([]);
  });

  test('a target that never finishes its handshake times out', async () => {
    const target = rawTarget(null);
    const work = post(sender(), `https://127.0.0.1:${target.port}/`, { timeoutMs: 100 });
    await expect(work).rejects.toMatchObject({ failure: 'timeout' });
  });
});
