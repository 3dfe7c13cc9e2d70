import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { createServer, type Server, type Socket } from 'node:net';
import { OutgoingHttp } from '../../../src/adapters/http/outgoing-http.ts';
import type { Database } from '../../../src/adapters/postgres/database.ts';
import { Incarnation } from '../../../src/adapters/postgres/incarnation.ts';
import { openPostgres, type Sql } from '../../../src/adapters/postgres/postgres.ts';
import { DeliverySender } from '../../../src/features/webhooks/deliveries/delivery-sender.ts';
import { type AttemptResult, type Claim, decide } from '../../../src/features/webhooks/deliveries/domain.ts';
import { createDeliveryRepository } from '../../../src/features/webhooks/deliveries/repository.ts';
import { availableEngines, freshDatabase, openTestDatabase } from '../../support/database.ts';
import { until } from '../../support/until.ts';
import { startReceiver } from '../../support/webhook-receiver.ts';
import { noneSealed } from '../../support/webhook-steps.ts';

const never = new AbortController().signal;
const success: AttemptResult = { durationMs: 3, status: 200, failure: null, retryAfter: null };
const timeout: AttemptResult = { durationMs: 15_000, status: null, failure: 'timeout', retryAfter: null };
const SECRET = Buffer.alloc(32);
const FAILING_MAX = 64;
const LESS_THAN_TIMEOUT_MS = 12_000;

describe.each(availableEngines())('targets that hang, on the %s PostgreSQL,', (engine) => {
  let sql: Sql;
  let db: Database;
  let here: ReturnType<typeof createDeliveryRepository>;
  let there: ReturnType<typeof createDeliveryRepository>;
  beforeEach(async () => {
    const url = await freshDatabase(engine);
    sql = openPostgres({ url, connectionsMax: 4, timeoutSeconds: 10 });
    db = openTestDatabase(url, { connectionsMax: 8, timeoutSeconds: 10 });
    here = createDeliveryRepository(db, new Incarnation(db));
    there = createDeliveryRepository(db, new Incarnation(db));
  }, 60_000);
  afterEach(() => Promise.all([sql.end(), db.end()]));

  /** Creates webhooks of an owner, each with this many due deliveries. Their turn came this many seconds ago. */
  async function makeWebhooks(owner: string, count: number, due: number, url: string, secondsAgo = 60) {
    const rows = await sql<{ id: string }[]>`
      INSERT INTO webhooks (id, owner, url, secret, claimed_at)
      SELECT gen_random_uuid(), ${owner}, ${url}, ${SECRET}, now() - ${secondsAgo} * interval '1 second'
      FROM generate_series(1, ${count}) RETURNING id`;
    const ids = rows.map(({ id }) => id);
    await sql`
      INSERT INTO webhook_deliveries (id, webhook_id, event_id, event_type, body)
      SELECT gen_random_uuid(), id::uuid, ${owner} || ':' || id || n, 'account.opened.v1', '{}'
      FROM unnest(${ids}::text[]) id, generate_series(1, ${due}) n`;
    return ids;
  }
  /** Creates webhooks whose last attempt has timed out. Their turn came this many seconds ago. */
  async function makeFailing(owner: string, count: number, due: number, secondsAgo = 600) {
    const ids = await makeWebhooks(owner, count, due, 'https://hanging.test/', secondsAgo);
    await sql`UPDATE webhooks SET failing_since = now(), failed_at = now() WHERE id = ANY (${ids}::uuid[])`;
    return ids;
  }
  const settle = (claim: Claim, result: AttemptResult) =>
    here.settle(claim, result, decide(result, claim.tries, Date.now(), 0.5));
  /** Claims until there is nothing left to claim, as one host. */
  async function claimAll(host: typeof here): Promise<Claim[]> {
    const claims: Claim[] = [];
    for (;;) {
      const next = await host.claim(32, never);
      if (next.length === 0) return claims;
      claims.push(...next);
    }
  }
  const webhooksOf = (claims: readonly Claim[]) => claims.map(({ webhookId }) => webhookId);

  test.each([
    ['accept and say nothing', 'http', () => {}],
    ['send a byte at a time', 'http', drip],
    ['accept and start no TLS', 'https', () => {}],
    ['have name servers that say nothing', 'name', () => {}],
  ] as const)('and %s, delay no delivery of others', async (_what, kind, respond) => {
    const hanging = await startTarget(respond);
    const receiver = startReceiver();
    const url =
      kind === 'name' ? 'https://silent.test/' : `${kind}://127.0.0.1:${portOf(hanging.server)}/hang`;
    const errors: unknown[] = [];
    const http = new OutgoingHttp({ allowedHosts: ['127.0.0.1'], resolve: () => new Promise(() => {}) });
    const sender = new DeliverySender(here, http, noneSealed, (error) => errors.push(error));
    const stop = new AbortController();
    let running: Promise<void> | undefined;
    try {
      const owners = Array.from({ length: 6 }, (_, i) => `greedy-${i}`);
      for (const owner of owners) await makeWebhooks(owner, 20, 10, url);
      running = sender.run(stop.signal);
      // More than a host sent at a time before, so that there was nothing left for others until these time out.
      await until(() => sender.stats().inFlight > 150, { what: 'the targets hang' });
      for (const owner of ['modest-1', 'modest-2', 'modest-3'])
        await makeWebhooks(owner, 1, 5, receiver.url, 1);
      await until(() => receiver.received.length >= 15, {
        deadlineMs: LESS_THAN_TIMEOUT_MS,
        what: 'others receive theirs before the targets time out',
      });
    } finally {
      stop.abort();
      await running;
      await receiver.stop();
      hanging.stop();
    }
    expect(errors).toEqual([]);
  });

  test('have one attempt at each webhook in flight before they have two at any', async () => {
    const ids = await makeWebhooks('greedy', 20, 10, 'https://hanging.test/');
    expect(new Set(webhooksOf(await here.claim(20, never)))).toEqual(new Set(ids));
  });

  test('have a quarter of the slots of each host, and one for each webhook, while others have the rest', async () => {
    for (let i = 0; i < 20; i++) await makeFailing(`failing-${i}`, 5, 3);
    const claims = await claimAll(here);
    expect(claims).toHaveLength(FAILING_MAX);
    expect(new Set(webhooksOf(claims)).size).toBe(FAILING_MAX);
    // Its turn is later than that of those that fail.
    const [working] = await makeWebhooks('working', 1, 9, 'https://working.test/', 0);
    expect(webhooksOf(await claimAll(here))).toEqual(Array(8).fill(working));
    expect(await claimAll(there)).toHaveLength(100 - FAILING_MAX);
    await settle(claims[0]!, timeout);
    expect(await claimAll(here)).toHaveLength(1);
  });

  test('and work again have all their slots at once', async () => {
    const [id] = await makeFailing('recovered', 1, 30);
    const [claim, ...more] = await claimAll(here);
    expect(more).toEqual([]);
    await settle(claim!, success);
    expect(webhooksOf(await claimAll(here))).toEqual(Array(8).fill(id));
  });

  test('of many webhooks of few owners delay the next attempt of an owner with one webhook by one attempt', async () => {
    for (let i = 0; i < 10; i++) await makeFailing(`greedy-${i}`, 20, 3);
    const claims = await claimAll(here);
    expect(claims).toHaveLength(FAILING_MAX);
    const modest = await makeFailing('modest', 1, 3, 0);
    await settle(claims[0]!, timeout);
    expect(webhooksOf(await claimAll(here))).toEqual(modest);
  });
});

interface Target {
  readonly server: Server;
  stop(): void;
}

function portOf(server: Server): number {
  return (server.address() as { port: number }).port;
}

async function startTarget(respond: (socket: Socket) => void): Promise<Target> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', () => {});
    respond(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    server,
    stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** Sends a response so slowly that it never ends in time. */
function drip(socket: Socket): void {
  const head = `HTTP/1.1 200 OK\r\nX-Padding: ${'a'.repeat(1000)}\r\n\r\n`;
  let sent = 0;
  const timer = setInterval(() => socket.write(head[sent++]!), 250);
  socket.once('close', () => clearInterval(timer));
}
