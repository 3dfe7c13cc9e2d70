import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { connect, type Socket } from 'node:net';
import { DEMO_ACCOUNTS } from '../../src/utils/demo-data.ts';
import { createClient } from '../support/atlas-client.ts';
import { freshDatabase } from '../support/database.ts';
import { START_TIMEOUT_MS } from '../support/test-app.ts';
import { until } from '../support/until.ts';
import { type AtlasProcess, makeFolder, removeFolder, startAtlas } from './atlas-process.ts';
import { statusOf } from './faulty-atlas.ts';
import { type Payments, startPayments } from './payments.ts';

const FAULT_TIMEOUT_MS = 90_000;
const MEBIBYTE = 1_048_576;
const HUGE_MEBIBYTES = 256;
const GROWTH_BYTES_MAX = 64 * MEBIBYTE;

describe('callers that', () => {
  let folder: string;
  let atlas: AtlasProcess;
  let payments: Payments;
  beforeAll(async () => {
    folder = await makeFolder();
    // The idle timeout is 10 s more than this.
    atlas = await startAtlas(folder, {
      DATABASE_URL: await freshDatabase(),
      API_WORKERS: '2',
      HTTP_TIMEOUT: '1',
      FILES_MAX_BYTES: `${MEBIBYTE}`,
    });
    payments = await startPayments(atlas.url, atlas.key!);
  }, START_TIMEOUT_MS);
  afterAll(async () => {
    await atlas?.end('SIGKILL');
    await removeFolder(folder);
  }, START_TIMEOUT_MS);

  /** A connection, what it received, and whether the server has closed it. */
  interface Connection {
    readonly socket: Socket;
    received(): string;
    isClosed(): boolean;
  }

  function open(): Connection {
    const { hostname, port } = new URL(atlas.url);
    const socket = connect(Number(port), hostname);
    let received = '';
    let closed = false;
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      received += chunk;
    });
    // A connection that was cut during a write is closed too.
    socket.on('error', () => {});
    socket.on('close', () => {
      closed = true;
    });
    return { socket, received: () => received, isClosed: () => closed };
  }

  const head = (path: string, ...lines: string[]) =>
    [
      `POST ${path} HTTP/1.1`,
      'Host: atlas.test',
      `Authorization: Bearer ${atlas.key}`,
      ...lines,
      '',
      '',
    ].join('\r\n');

  /** Sends a byte every 250 ms until the connection is closed. */
  function trickle({ socket, isClosed }: Connection, byte: string): () => void {
    const timer = setInterval(() => isClosed() || socket.write(byte), 250);
    return () => clearInterval(timer);
  }

  /** Expects that concurrent payments succeed. */
  async function expectOthersUnharmed(): Promise<void> {
    const before = payments.acknowledged;
    await until(() => payments.acknowledged > before + 20);
    expect([...payments.statuses.keys()]).toEqual([201]);
    expect(await statusOf(`${atlas.url}/health/ready`)).toBe(200);
  }

  const inFlight = async () =>
    (await atlas.status()).slots.reduce((sum, { worker }) => sum + (worker?.inFlight ?? 0), 0);
  const memoryBytes = async () =>
    Math.max(...(await atlas.status()).slots.map(({ worker }) => worker?.rssBytes ?? 0));

  test(
    'send nothing, or stop in the middle or after a response, are disconnected, and block nobody meanwhile',
    async () => {
      const silent = Array.from({ length: 50 }, open);
      const halfHead = open();
      halfHead.socket.write('GET /v1/ping HTTP/1.1\r\nHost: atl');
      const completed = open();
      completed.socket.write('GET /health/live HTTP/1.1\r\nHost: atlas.test\r\n\r\n');
      await until(() => completed.received().includes('200'));
      const slowHead = open();
      slowHead.socket.write('GET /health/live HTTP/1.1\r\nX-Slow: ');
      const stop = trickle(slowHead, 'a');
      await expectOthersUnharmed();
      const all = [...silent, halfHead, completed, slowHead];
      await until(() => all.every((each) => each.isClosed()));
      stop();
      expect(completed.received().match(/HTTP\/1\.1/g)).toHaveLength(1);
      await expectOthersUnharmed();
    },
    FAULT_TIMEOUT_MS,
  );

  test(
    'send a body byte by byte get 504 at the deadline, and their permits go to others',
    async () => {
      const slow = Array.from({ length: 20 }, open);
      for (const each of slow)
        each.socket.write(head('/v1/accounts', 'Content-Type: application/json', 'Content-Length: 1000'));
      const stops = slow.map((each) => trickle(each, ' '));
      await until(async () => (await inFlight()) >= 20);
      await expectOthersUnharmed();
      await until(() => slow.every((each) => each.received().startsWith('HTTP/1.1 504')));
      for (const stop of stops) stop();
      await until(async () => (await inFlight()) < 20);
      for (const each of slow) each.socket.destroy();
    },
    FAULT_TIMEOUT_MS,
  );

  test.each(['/v1/accounts', '/v1/files'])(
    'send 256 MiB to %s get 413, and the memory of the workers does not grow',
    async (path) => {
      const before = await memoryBytes();
      let most = before;
      const mebibyte = Buffer.alloc(MEBIBYTE, 'a');
      let sent = 0;
      const body = new ReadableStream(
        {
          async pull(controller) {
            if (sent++ === HUGE_MEBIBYTES) return controller.close();
            controller.enqueue(mebibyte);
            most = Math.max(most, await memoryBytes());
          },
        },
        { highWaterMark: 0 },
      );
      // Chunked, so that only counting reveals the size.
      const counted = fetch(`${atlas.url}${path}`, {
        method: 'POST',
        headers: {
          Authorization: `Bearer ${atlas.key}`,
          'Content-Type': path === '/v1/files' ? 'text/plain' : 'application/json',
        },
        body,
      }).then(
        ({ status }) => status,
        // The connection is closed even if the client does not read before it has sent everything.
        () => 'closed' as const,
      );
      // With a length, which reveals the size up front.
      const declared = open();
      declared.socket.write(
        head(path, 'Content-Type: text/plain', `Content-Length: ${HUGE_MEBIBYTES * MEBIBYTE}`),
      );
      await until(() => declared.received().startsWith('HTTP/1.1 413'));
      expect([413, 'closed']).toContain(await counted);
      expect(sent).toBeLessThan(HUGE_MEBIBYTES);
      most = Math.max(most, await memoryBytes());
      expect(most - before).toBeLessThan(GROWTH_BYTES_MAX);
      declared.socket.destroy();
      await expectOthersUnharmed();
    },
    FAULT_TIMEOUT_MS,
  );

  test(
    'disconnect during a payment or before its response: retried under its key, it takes effect once',
    async () => {
      const client = createClient(atlas.url, atlas.key!);
      const transferOf = (reference: string) => {
        const [debitAccountId, creditAccountId] = [DEMO_ACCOUNTS.bank, DEMO_ACCOUNTS.bob];
        return { debitAccountId, creditAccountId, amount: 1, reference };
      };
      const references = Array.from({ length: 100 }, (_, i) => `gone-${i}`);
      const gone = references.map((reference, i) => {
        const each = open();
        const body = JSON.stringify(transferOf(reference));
        const lines = [`Content-Length: ${body.length}`, `Idempotency-Key: ${reference}`];
        const request = head('/v1/transfers', 'Content-Type: application/json', ...lines) + body;
        // Every second request lacks its last bytes.
        each.socket.write(i % 2 === 0 ? request : request.slice(0, -10));
        return each;
      });
      await until(() => gone.every(({ socket }) => socket.bytesWritten > 0));
      for (const { socket } of gone) socket.resetAndDestroy();
      for (const reference of references) {
        // 409 while the first one is in flight.
        const { response } = await until(async () => {
          const response = await client.post('/v1/transfers', transferOf(reference), reference);
          return response?.status !== 409 && { response };
        });
        expect(response?.status).toBe(201);
      }
      const transfers = await client.list<{ reference: string | null }>(
        `/v1/accounts/${DEMO_ACCOUNTS.bob}/transfers`,
        'transfers',
      );
      const posted = transfers.flatMap(({ reference }) => (reference?.startsWith('gone-') ? reference : []));
      expect(posted.sort()).toEqual(references.sort());
      await until(async () => (await inFlight()) <= 5);
      await expectOthersUnharmed();
      await payments.settle();
    },
    FAULT_TIMEOUT_MS,
  );
});
