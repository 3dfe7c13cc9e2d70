import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { EVENT_CATALOGUE } from '../../../src/features.ts';
import { type EventPage, type ListedEvent, listEvents, relayAll } from '../../support/event-steps.ts';
import {
  type AccountResource,
  openAccount,
  postTransfer,
  type TransferResource,
} from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

const metadata = { zeta: 'last', alpha: 'first' };
let atlas: TestApp;
let bank: AccountResource;
let alice: AccountResource;
let transfer: TransferResource;
let stranger: string;
beforeAll(async () => {
  atlas = await startTestApp();
  stranger = await atlas.key(['events:read', 'accounts:write'], 'stranger');
  bank = await openAccount(atlas, { name: 'Bank' });
  alice = await openAccount(atlas, { allowNegative: false, kind: 'asset', metadata });
  const order = {
    debitAccountId: bank.id,
    creditAccountId: alice.id,
    amount: 1250,
    reference: 'r',
    metadata,
  };
  transfer = (await (await postTransfer(atlas, order)).json()) as TransferResource;
  await atlas.call('POST', '/v1/accounts', {
    json: { ledger: 'EUR' },
    headers: { Authorization: `Bearer ${stranger}` },
  });
  await relayAll(atlas);
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const idsOf = (events: readonly ListedEvent[]) => events.map(({ id }) => id);
const expectEmpty = (events: readonly ListedEvent[]) => expect(idsOf(events)).toEqual([]);

describe('the events of Atlas', () => {
  test('cover the opening of an account', async () => {
    const { events } = await listEvents(atlas, `?key=${alice.id}&limit=1`);
    expect(events).toEqual([
      {
        specversion: '1.0',
        id: `${alice.id}:0`,
        source: 'atlas',
        type: 'account.opened.v1',
        subject: alice.id,
        time: (alice as unknown as { createdAt: string }).createdAt,
        datacontenttype: 'application/json',
        sequence: '0',
        sequencetype: 'Integer',
        data: {
          accountId: alice.id,
          ledger: 'EUR',
          name: null,
          kind: 'asset',
          allowNegative: false,
          parentId: null,
          balanceMin: null,
          balanceMax: null,
          metadata,
        },
        position: events[0]!.position,
      },
    ]);
    expect(events[0]!.position).toMatch(/^[1-9]\d*$/);
  });

  test('cover both sides of a transfer', async () => {
    const { events } = await listEvents(atlas);
    const sides = events.filter(({ sequence }) => sequence === '1');
    const both = {
      transferId: transfer.id,
      ledger: 'EUR',
      amount: 1250,
      reference: 'r',
      metadata,
    };
    const of = (type: string) => sides.find((event) => event.type === type)!;
    expect(of('account.debited.v1')).toMatchObject({
      id: `${bank.id}:1`,
      time: transfer.createdAt,
      data: { ...both, accountId: bank.id, counterpartyAccountId: alice.id },
    });
    expect(of('account.credited.v1')).toMatchObject({
      id: `${alice.id}:1`,
      time: transfer.createdAt,
      data: { ...both, accountId: alice.id, counterpartyAccountId: bank.id },
    });
    expect(sides).toHaveLength(2);
  });

  test('match the catalogue, without an extra member', async () => {
    const { events } = await listEvents(atlas);
    expect(new Set(events.map(({ type }) => type))).toEqual(
      new Set(['account.opened.v1', 'account.debited.v1', 'account.credited.v1']),
    );
    for (const { type, data } of events)
      expect(EVENT_CATALOGUE[type]!.data.parse(data)).toEqual(data as never);
  });
});

describe('a list of events', () => {
  test('has only events of the owner, oldest first', async () => {
    const { events } = await listEvents(atlas);
    const positions = events.map(({ position }) => Number(position));
    expect(positions).toEqual(positions.toSorted((a, b) => a - b));
    expect(new Set(idsOf(events)).size).toBe(4);
    const others = await listEvents(atlas, '', stranger);
    expect(others.events).toHaveLength(1);
    expect(idsOf(events)).not.toContain(others.events[0]!.id);
    expectEmpty((await listEvents(atlas, `?key=${alice.id}`, stranger)).events);
  });

  test('has pages that neither skip nor repeat events', async () => {
    const all = (await listEvents(atlas)).events;
    const paged: ListedEvent[] = [];
    let path: string | null = '/v1/events?limit=1';
    while (path !== null) {
      const response: Response = await atlas.call('GET', path);
      paged.push(...((await response.json()) as { events: ListedEvent[] }).events);
      path = /^<(.*)>; rel="next"$/.exec(response.headers.get('link') ?? '')?.[1] ?? null;
    }
    expect(paged).toEqual([...all]);
  });

  test('has a cursor at its end that returns newer events later', async () => {
    const end = await listEvents(atlas);
    expect(end.nextCursor).toBeNull();
    const nothing = await listEvents(atlas, `?cursor=${end.resumeCursor}`);
    expect(nothing).toEqual({ events: [], nextCursor: null, resumeCursor: end.resumeCursor });
    const account = await openAccount(atlas);
    // Not sent yet, so not in the log.
    expectEmpty((await listEvents(atlas, `?cursor=${end.resumeCursor}`)).events);
    await relayAll(atlas);
    const later = await listEvents(atlas, `?cursor=${end.resumeCursor}`);
    expect(idsOf(later.events)).toEqual([`${account.id}:0`]);
    expect(later.resumeCursor).not.toBe(end.resumeCursor);
  });

  test('of an owner without events can be resumed too', async () => {
    const nobody = await atlas.key(['events:read', 'accounts:write'], 'newcomer');
    const empty = await listEvents(atlas, '', nobody);
    expect(empty).toMatchObject({ events: [], nextCursor: null });
    const headers = { Authorization: `Bearer ${nobody}` };
    await atlas.call('POST', '/v1/accounts', { json: { ledger: 'EUR' }, headers });
    await relayAll(atlas);
    expect((await listEvents(atlas, `?cursor=${empty.resumeCursor}`, nobody)).events).toHaveLength(1);
  });

  test('can be filtered by type, across long runs of other types', async () => {
    const { events, resumeCursor } = await listEvents(atlas, '?type=account.debited.v1');
    expect(idsOf(events)).toEqual([`${bank.id}:1`]);
    expectEmpty((await listEvents(atlas, `?type=account.debited.v1&cursor=${resumeCursor}`)).events);
    expectEmpty((await listEvents(atlas, '?type=file.stored.v1')).events);
    const first = await listEvents(atlas, '?type=account.opened.v1&limit=1');
    expect(first.nextCursor).not.toBeNull();
    const rest = await listEvents(atlas, `?type=account.opened.v1&cursor=${first.nextCursor}`);
    expect(idsOf(rest.events)).toContain(`${alice.id}:0`);
    expect(idsOf(rest.events)).not.toContain(first.events[0]!.id);
  });

  test('can be filtered by key, in the order of its sequence', async () => {
    const { events, nextCursor, resumeCursor } = await listEvents(atlas, `?key=${alice.id}`);
    expect(idsOf(events)).toEqual([`${alice.id}:0`, `${alice.id}:1`]);
    expect(nextCursor).toBeNull();
    const order = { debitAccountId: alice.id, creditAccountId: bank.id, amount: 1 };
    expect((await postTransfer(atlas, order)).status).toBe(201);
    await relayAll(atlas);
    const later = await listEvents(atlas, `?key=${alice.id.toUpperCase()}&cursor=${resumeCursor}`);
    expect(idsOf(later.events)).toEqual([`${alice.id}:2`]);
    const credits = await listEvents(atlas, `?key=${alice.id}&type=account.credited.v1`);
    expect(idsOf(credits.events)).toEqual([`${alice.id}:1`]);
    expectEmpty((await listEvents(atlas, `?key=${crypto.randomUUID()}`)).events);
  });

  test('continues after the cursor of any other list', async () => {
    const all = (await listEvents(atlas)).events;
    for (const filter of ['', `&key=${alice.id}`, '&type=account.credited.v1']) {
      const fits = ({ subject, type }: ListedEvent) =>
        (!filter.includes('key') || subject === alice.id) &&
        (!filter.includes('type') || filter.endsWith(type));
      for (const other of [`?key=${bank.id}&limit=1`, '?limit=2', '?type=account.opened.v1&limit=1']) {
        const { resumeCursor } = await listEvents(atlas, other);
        const position = Number.parseInt(resumeCursor.slice(1), 16);
        const expected = all.filter((event) => Number(event.position) > position && fits(event));
        const rest = await listEvents(atlas, `?cursor=${resumeCursor}${filter}`);
        expect({ filter, other, ids: idsOf(rest.events) }).toEqual({ filter, other, ids: idsOf(expected) });
      }
    }
  });

  test('finds rare events among very many in pages that may be empty, and never skips one', async () => {
    const token = await atlas.key(['events:read'], 'busy');
    const { sql } = atlas;
    // Written as by the relay: 12,000 events of one type, with a rare one in between and another at the end.
    await sql.begin(async (tx) => {
      const [relay] =
        await tx`UPDATE relay SET last_position = last_position + 12000 RETURNING last_position`;
      await tx`
        INSERT INTO events (position, owner, type, key, sequence, occurred_at, data)
        SELECT ${relay!.lastPosition} - 12000 + n, 'busy', CASE WHEN n IN (7000, 12000) THEN 'file.stored.v1' ELSE 'file.deleted.v1' END,
               'key-' || n % 3, n / 3, now(), '{}'
        FROM generate_series(1, 12000) n`;
    });
    const found: string[] = [];
    const sizes: number[] = [];
    for (let cursor: string | null = 'e0000000000000'; cursor !== null; ) {
      const page: EventPage = await listEvents(atlas, `?type=file.stored.v1&cursor=${cursor}`, token);
      found.push(...idsOf(page.events));
      sizes.push(page.events.length);
      cursor = page.nextCursor;
    }
    expect(found).toEqual(['key-1:2333', 'key-0:4000']);
    expect(sizes).toEqual([0, 1, 1]);
  });

  test('by the key of another owner is that of an unknown key, after any cursor', async () => {
    // A cursor before, at, and after each event of the key, and at both ends of the log, which has very many others.
    const [{ last }] = await atlas.sql<[{ last: number }]>`SELECT max(position) AS last FROM events`;
    const { events } = await listEvents(atlas, `?key=${alice.id}`);
    const positions = events.flatMap(({ position }) => [-1, 0, 1].map((by) => Number(position) + by));
    expect(positions.length).toBeGreaterThan(3);
    for (const position of new Set([0, ...positions, last])) {
      const cursor = `cursor=e${position.toString(16).padStart(13, '0')}`;
      const unknown = await listEvents(atlas, `?key=${crypto.randomUUID()}&${cursor}`, stranger);
      expect(await listEvents(atlas, `?key=${alice.id}&${cursor}`, stranger)).toEqual(unknown);
    }
  });

  test('rejects a cursor beyond the end of the log', async () => {
    for (const filter of ['', '&type=account.opened.v1', `&key=${alice.id}`]) {
      const response = await atlas.call('GET', `/v1/events?cursor=efffffffffffff${filter}`);
      await expectProblem(atlas, response, 404, 'event_not_found');
    }
  });

  test.each([
    ['type', 'account.opened'],
    ['type', ''],
    ['key', 'alice'],
    ['cursor', 'e123'],
    ['cursor', 'a0000000000000'],
    ['limit', '201'],
    ['owner', 'stranger'],
  ])('refuses %s=%s', async (name, value) => {
    const response = await atlas.call('GET', `/v1/events?${name}=${value}`);
    await expectProblem(atlas, response, 400, 'invalid_request', [`/query/${name}`]);
  });
});

describe('one event', () => {
  test('is returned by its id, as in a list', async () => {
    const { events } = await listEvents(atlas);
    for (const event of events) {
      const response = await atlas.call('GET', `/v1/events/${event.id}`);
      expect(await response.json()).toEqual(event as never);
    }
  });

  test('is a 404 for another owner, and if it does not exist', async () => {
    const headers = { Authorization: `Bearer ${stranger}` };
    const foreign = await atlas.call('GET', `/v1/events/${alice.id}:0`, { headers });
    const { detail } = await expectProblem(atlas, foreign, 404, 'event_not_found');
    expect(detail).not.toContain('stranger');
    const missing = await atlas.call('GET', `/v1/events/${alice.id}:999999999999999`);
    await expectProblem(atlas, missing, 404, 'event_not_found');
  });

  test.each(['x', 'x:', ':1', 'x:01', 'x:-1', 'x:1e3', 'x:9999999999999999', `${'x'.repeat(101)}:1`])(
    'cannot be requested with %s',
    async (id) => {
      const response = await atlas.call('GET', `/v1/events/${id}`);
      await expectProblem(atlas, response, 400, 'invalid_request', ['/path/id']);
    },
  );
});
