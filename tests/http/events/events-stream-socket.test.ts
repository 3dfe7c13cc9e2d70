import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import type { CloudEvent } from '../../../src/utils/event.ts';
import { freshDatabase } from '../../support/database.ts';
import { StreamReader, startRelay, untilRelayed } from '../../support/event-steps.ts';
import { type AccountResource, openAccount, postTransfer } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { isToxiproxyHere, startToxiproxy } from '../../support/toxiproxy.ts';
import { until } from '../../support/until.ts';
import { type RawServer, serveRaw } from '../raw-http.ts';

const ACCOUNTS = 5;
const TRANSFERS = 300;
const STEADY_MS = 200;
let atlas: TestApp;
let server: RawServer;
let key: string;
let accounts: AccountResource[];
let stopRelay: () => Promise<void>;

async function start(environment: Record<string, string>): Promise<void> {
  atlas = await startTestApp(environment);
  server = serveRaw(atlas);
  key = await atlas.key();
  accounts = await Promise.all(Array.from({ length: ACCOUNTS }, () => openAccount(atlas)));
  stopRelay = startRelay(atlas);
}

async function stop(): Promise<void> {
  await stopRelay();
  await server.stop();
  await atlas.close();
}

interface Connection {
  readonly reader: StreamReader;
  cut(): void;
}

/** Opens a stream over a new socket, with the headers and the query of a client that reconnects. */
async function connect(query: string, lastId = ''): Promise<Connection> {
  const controller = new AbortController();
  const response = await fetch(`${server.url}/v1/events/stream${query}`, {
    headers: { Authorization: `Bearer ${key}`, ...(lastId !== '' && { 'Last-Event-ID': lastId }) },
    signal: controller.signal,
  });
  return { reader: new StreamReader(response), cut: () => controller.abort() };
}

async function untilOpen(count: number): Promise<void> {
  await until(() => atlas.streams.stats().open === count, { what: `${count} open streams` });
}

/** Returns a counter once it has not grown for {@link STEADY_MS}. */
function untilSteady(read: () => number): Promise<number> {
  return until(async () => {
    const before = read();
    await Bun.sleep(STEADY_MS);
    return read() === before && before;
  });
}

const pay = async (n: number) => {
  const [from, to] = [accounts[n % ACCOUNTS]!, accounts[(n + 1 + (n % 3)) % ACCOUNTS]!];
  const response = await postTransfer(atlas, { debitAccountId: from.id, creditAccountId: to.id, amount: 1 });
  return response.status;
};

/** Expects each event once, and those of a key in the order of their sequence, from the first. */
function expectWhole(events: readonly CloudEvent[]): void {
  expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
  for (const { id } of accounts) {
    const sequences = events.filter(({ subject }) => subject === id).map(({ sequence }) => Number(sequence));
    expect(sequences).toEqual(sequences.map((_, i) => i));
  }
}

describe('over a socket', () => {
  beforeAll(() => start({}), START_TIMEOUT_MS);
  afterAll(stop);
  afterEach(() => untilOpen(0));

  test('a client that is disconnected repeatedly receives every event once, in order, while transfers are posted', async () => {
    const expected = ACCOUNTS + 2 * TRANSFERS;
    const paying = (async () => {
      for (let n = 0; n < TRANSFERS; n += 10)
        await Promise.all(Array.from({ length: 10 }, (_, i) => pay(n + i)));
    })();
    const events: CloudEvent[] = [];
    let lastId = '';
    for (let round = 0; events.length < expected; round++) {
      const { reader, cut } = await connect('?from=beginning', lastId);
      // From one event to many, so that cuts occur within a page, between pages, and at the end.
      for (let left = 1 + ((round * 17) % 60); left > 0 && events.length < expected; left--) {
        events.push((await reader.event())!);
        lastId = reader.lastId;
      }
      cut();
    }
    await paying;
    expectWhole(events);
  });

  test('many clients receive the same events', async () => {
    const clients = await Promise.all(Array.from({ length: 20 }, () => connect('?from=beginning')));
    const seen = await Promise.all(clients.map(({ reader }) => reader.events(ACCOUNTS + 2 * TRANSFERS)));
    expectWhole(seen[0]!);
    for (const events of seen) expect(events).toEqual(seen[0]!);
    for (const { cut } of clients) cut();
  });

  test('a client that disconnects while idle is noticed', async () => {
    const { reader, cut } = await connect('');
    await reader.block();
    await untilOpen(1);
    const reading = reader.block().catch(() => 'cut');
    cut();
    expect(await reading).toBe('cut');
    await untilOpen(0);
  });

  test('little is buffered for a client that does not read', async () => {
    const { reader, cut } = await connect('');
    await reader.block();
    await untilOpen(1);
    const sentBefore = atlas.streams.stats().events;
    const wide = Object.fromEntries(Array.from({ length: 31 }, (_, i) => [`m${i}`, 'x'.repeat(500)]));
    const order = { debitAccountId: accounts[0]!.id, creditAccountId: accounts[1]!.id, amount: 1 };
    const transfers = Array.from({ length: 50 }, () => ({ ...order, metadata: wide }));
    for (let n = 0; n < 16; n++) {
      const headers = { 'Idempotency-Key': `wide-${n}` };
      const posted = await atlas.call('POST', '/v1/transfers/batch', { json: { transfers }, headers });
      expect(posted.status).toBe(200);
    }
    const [row] = await atlas.sql`SELECT 2 * count(*) AS events FROM transfers WHERE metadata ? 'm30'`;
    await untilRelayed(atlas);
    // The two sockets buffer some megabytes; the rest is still in PostgreSQL.
    const sent = await untilSteady(() => atlas.streams.stats().events - sentBefore);
    expect(sent).toBeWithin(1, row!.events);
    expect((await reader.events(row!.events)).length).toBe(row!.events);
    cut();
  });
});

describe.if(isToxiproxyHere())('while PostgreSQL is away', () => {
  test('a stream stays open without wrong output, and then no event is missing', async () => {
    const toxiproxy = await startToxiproxy();
    const proxy = await toxiproxy.proxy(await freshDatabase());
    await start({ DATABASE_URL: proxy.url });
    const { reader, cut } = await connect('?from=beginning');
    const events = await reader.events(ACCOUNTS);
    const coming = reader.events(2 * 20);
    for (let n = 0; n < 10; n++) expect(await pay(n)).toBe(201);
    const { failures } = atlas.streams.stats();
    await proxy.disable();
    await until(() => atlas.streams.stats().failures >= failures + 2);
    expect(atlas.streams.stats().open).toBe(1);
    await proxy.enable();
    for (let n = 10; n < 20; n++) await until(async () => (await pay(n)) === 201);
    events.push(...(await coming));
    expectWhole(events);
    cut();
    await untilOpen(0);
    await stop();
    await toxiproxy.stop();
  });
});
