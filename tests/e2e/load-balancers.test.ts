import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { DEMO_ACCOUNTS } from '../../src/utils/demo-data.ts';
import { StreamReader } from '../support/event-steps.ts';
import { isAvailable } from '../support/is-available.ts';
import { findLoadBalancer, type LoadBalancer, startLoadBalancer } from '../support/load-balancer.ts';
import { lockTable } from '../support/table-lock.ts';
import { START_TIMEOUT_MS } from '../support/test-app.ts';
import { until } from '../support/until.ts';
import { areServicesHere, type FaultyAtlas, startFaultyAtlas } from './faulty-atlas.ts';

const TEST_TIMEOUT_MS = 90_000;
const MEBIBYTE = 1_048_576;
const UPLOAD_BYTES = 64 * MEBIBYTE;
// The examples are written for the default HTTP_TIMEOUT of 30 s; Atlas and they run five times as fast here.
const SPEED = 5;
// At 1,000 kB/s, more than other requests may take.
const SLOW_BYTES = 9 * MEBIBYTE;
const OTHERS_TIMEOUT_MS = 35_000 / SPEED;

const names = ['nginx', 'HAProxy'] as const;
const areHere = names.map((name) => isAvailable(name, findLoadBalancer(name))).every(Boolean);

describe.if(areHere && areServicesHere({ s3: true }))('behind a load balancer as in the runbook', () => {
  let faulty: FaultyAtlas;
  const balancers = new Map<string, LoadBalancer>();
  beforeAll(async () => {
    faulty = await startFaultyAtlas(
      { s3: true },
      { HTTP_TIMEOUT: `${30 / SPEED}`, FILES_TIMEOUT: '300', TRUSTED_PROXIES: '127.0.0.1' },
    );
    for (const name of names) balancers.set(name, await startLoadBalancer(name, faulty.atlas.url, SPEED));
  }, START_TIMEOUT_MS);
  afterAll(async () => {
    for (const balancer of balancers.values()) await balancer.stop();
    await faulty?.stop();
  }, START_TIMEOUT_MS);

  function call(
    name: string,
    method: string,
    path: string,
    body?: BodyInit,
    headers = {},
  ): Promise<Response> {
    const authorization = { Authorization: `Bearer ${faulty.key}`, ...headers };
    return fetch(`${balancers.get(name)!.url}${path}`, {
      method,
      headers: authorization,
      body: body ?? null,
    });
  }

  function sendJson(name: string, path: string, json: object): Promise<Response> {
    const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': crypto.randomUUID() };
    return call(name, 'POST', path, JSON.stringify(json), headers);
  }

  const transfer = {
    debitAccountId: DEMO_ACCOUNTS.alice,
    creditAccountId: DEMO_ACCOUNTS.bob,
    amount: 1,
  };

  test.each(names)(
    '%s: a large upload arrives whole, and so does its download',
    async (name) => {
      const bytes = Buffer.alloc(UPLOAD_BYTES, `${name} carries this\n`);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      const stored = await call(name, 'POST', '/v1/files?name=large.txt', bytes, {
        'Content-Type': 'text/plain',
      });
      const file = (await stored.json()) as { id: string; sha256: string };
      expect({ status: stored.status, sha256: file.sha256 }).toEqual({ status: 201, sha256 });
      const downloaded = await call(name, 'GET', `/v1/files/${file.id}/content`);
      const digest = createHash('sha256').update(Buffer.from(await downloaded.arrayBuffer()));
      expect(digest.digest('hex')).toBe(sha256);
    },
    TEST_TIMEOUT_MS,
  );

  test.each(names)(
    '%s: a `complete` may take longer than other requests',
    async (name) => {
      const bytes = Buffer.alloc(SLOW_BYTES, `${name} waits\n`);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      const declared = { name: 'slow.txt', mediaType: 'text/plain', sizeBytes: bytes.length, sha256 };
      const { file, upload } = (await (await sendJson(name, '/v1/files/uploads', declared)).json()) as {
        file: { id: string };
        upload: { method: string; url: string; headers: Record<string, string> };
      };
      const { method, url, headers } = upload;
      expect((await fetch(url, { method, headers, body: bytes })).status).toBe(200);
      // It reads the object once.
      await faulty.toS3!.add({ type: 'bandwidth', kilobytesPerSecond: 1000 });
      const startMs = performance.now();
      const completed = await call(name, 'POST', `/v1/files/${file.id}/complete`);
      const tookMs = performance.now() - startMs;
      await faulty.toS3!.heal();
      expect(completed.status).toBe(200);
      expect(tookMs).toBeGreaterThan(OTHERS_TIMEOUT_MS);
    },
    TEST_TIMEOUT_MS,
  );

  test.each(names)(
    '%s: a request that is too slow gets the 504 of Atlas',
    async (name) => {
      const lock = await lockTable(faulty.postgres.url, 'accounts');
      try {
        const response = await sendJson(name, '/v1/accounts', { ledger: 'USD', name: 'slow' });
        expect(response.status).toBe(504);
        expect(response.headers.get('Content-Type')).toBe('application/problem+json');
      } finally {
        await lock.release();
      }
    },
    TEST_TIMEOUT_MS,
  );

  test.each(names)('%s: a JSON body that is too large gets the 413 of Atlas', async (name) => {
    const response = await sendJson(name, '/v1/accounts', {
      ledger: 'USD',
      name: 'x'.repeat(1.5 * MEBIBYTE),
    });
    expect(response.status).toBe(413);
    expect(response.headers.get('Content-Type')).toBe('application/problem+json');
  });

  /** Sends a text over one connection, and returns the statuses until the load balancer closes it. */
  function statusesOf(name: string, text: string, localAddress = '127.0.0.1'): Promise<number[]> {
    const { hostname, port } = new URL(balancers.get(name)!.url);
    return new Promise((resolve, reject) => {
      let received = '';
      const socket = connect(
        { host: hostname, port: Number(port), localAddress },
        () => void socket.write(text),
      );
      socket.on('data', (chunk) => {
        received += chunk;
      });
      socket.on('error', reject);
      socket.on('close', () =>
        resolve([...received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))),
      );
    });
  }
  const rawHead = (method: string, more = '') =>
    `${method} /health/live HTTP/1.1\r\nHost: api.example.com\r\n${more}\r\n`;

  test.each(names)('%s: methods that Atlas does not know are refused, and take no host out', async (name) => {
    for (let i = 0; i < 20; i++)
      expect(await statusesOf(name, rawHead('FOO', 'Connection: close\r\n'))).toEqual([405]);
    expect((await call(name, 'GET', '/health/live')).status).toBe(200);
  });

  test.each(names)('%s: Atlas logs the address of the client, whatever the client says', async (name) => {
    for (const forged of ['X-Forwarded-For: 6.6.6.6', 'Forwarded: for=6.6.6.6']) {
      const head = `GET /v1/ping HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n`;
      const before = faulty.atlas.output().length;
      expect(await statusesOf(name, `${head}${forged}\r\n\r\n`, '127.0.0.2')).toEqual([401]);
      const logged = () => faulty.atlas.output().slice(before);
      await until(() => logged().includes('unauthenticated'));
      expect(logged()).toContain('clientAddress="127.0.0.2"');
    }
  });

  test.each(names)('%s: requests that a client pipelines are all served', async (name) => {
    const requests = rawHead('GET') + rawHead('GET') + rawHead('GET', 'Connection: close\r\n');
    expect(await statusesOf(name, requests)).toEqual([200, 200, 200]);
  });

  test.each(names)(
    '%s: an event stream delivers at once, and stays open while nothing happens',
    async (name) => {
      const response = await call(name, 'GET', '/v1/events/stream');
      const stream = new StreamReader(response);
      const openedMs = performance.now();
      await stream.block();
      const payAndFollow = async () => {
        const response = await sendJson(name, '/v1/transfers', transfer);
        expect(response.status).toBe(201);
        const posted = (await response.json()) as { id: string };
        // Events of what was sent before the stream was opened may still arrive.
        for (let event = await stream.event(); event !== null; event = await stream.event())
          if (event.data.transferId === posted.id) return event.type;
        return 'the stream ended';
      };
      expect(await payAndFollow()).toMatch(/^account\.(debited|credited)\.v1$/);
      while (performance.now() - openedMs < OTHERS_TIMEOUT_MS) expect(await stream.block()).not.toBeNull();
      expect(await payAndFollow()).toMatch(/^account\.(debited|credited)\.v1$/);
      await stream.leave();
    },
    TEST_TIMEOUT_MS,
  );
});
