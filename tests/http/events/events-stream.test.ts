import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import {
  followEvents,
  listEvents,
  relayAll,
  StreamReader,
  startRelay,
  untilRelayed,
} from '../../support/event-steps.ts';
import { type AccountResource, openAccount, postTransfer } from '../../support/ledger-steps.ts';
import { callWithoutKey, START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { bearer, createUser } from '../../support/user-steps.ts';
import { passDeadline } from '../passed-deadline.ts';
import { expectProblem } from '../problem-assertions.ts';

const STREAM = '/v1/events/stream';
let atlas: TestApp;
let bank: AccountResource;
let alice: AccountResource;
let stopRelay: () => Promise<void>;
beforeAll(async () => {
  atlas = await startTestApp();
  bank = await openAccount(atlas);
  alice = await openAccount(atlas);
  await relayAll(atlas);
  stopRelay = startRelay(atlas);
}, START_TIMEOUT_MS);
afterAll(async () => {
  await stopRelay();
  await atlas.close();
});
afterEach(() => expect(atlas.streams.stats().open).toBe(0));

const pay = async (from = bank, to = alice) => {
  const response = await postTransfer(atlas, { debitAccountId: from.id, creditAccountId: to.id, amount: 1 });
  expect(response.status).toBe(201);
  return ((await response.json()) as { id: string }).id;
};
/** The transfer ids of events. */
const transfersOf = (events: readonly { data: Readonly<Record<string, unknown>> }[]) =>
  events.map(({ data }) => data.transferId);

describe('a stream', () => {
  test('greets with its position and when to reconnect, then sends each event in a block', async () => {
    const response = await atlas.call('GET', `${STREAM}?from=beginning`);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.get('x-accel-buffering')).toBe('no');
    const reader = new StreamReader(response);
    const { retry, ...greeting } = (await reader.block())!;
    expect(Number(retry)).toBeWithin(500, 1501);
    expect(greeting).toEqual({ id: 'e0000000000000' });
    const block = (await reader.block())!;
    const { position, ...event } = (await listEvents(atlas, '?limit=1')).events[0]!;
    expect(block).toEqual({
      id: `e${Number(position).toString(16).padStart(13, '0')}`,
      event: 'account.opened.v1',
      data: JSON.stringify(event),
    });
    await reader.leave();
  });

  test('starts with new events by default', async () => {
    await pay();
    await untilRelayed(atlas);
    const reader = await followEvents(atlas);
    await reader.block();
    const id = await pay();
    expect(transfersOf(await reader.events(2))).toEqual([id, id]);
    await reader.leave();
  });

  test('that ended before its first event is resumed without a gap', async () => {
    const first = await followEvents(atlas);
    await first.block();
    await first.leave();
    const id = await pay();
    await untilRelayed(atlas);
    const second = await followEvents(atlas, '', { 'Last-Event-ID': first.lastId });
    expect(transfersOf(await second.events(2))).toEqual([id, id]);
    await second.leave();
  });

  test('resumes after Last-Event-ID, whatever its URL says', async () => {
    const first = await followEvents(atlas, '?from=beginning');
    const [one, two] = await first.events(2);
    await first.leave();
    for (const query of ['?from=beginning', '?after=e0000000000000&from=now']) {
      const headers = { 'Last-Event-ID': first.lastId };
      const second = await followEvents(atlas, query, headers);
      const [three] = await second.events(1);
      expect([one!.id, two!.id]).not.toContain(three!.id);
      await second.leave();
    }
  });

  test('starts as if without it after an empty Last-Event-ID', async () => {
    const first = await followEvents(atlas, '?from=beginning');
    const [one] = await first.events(1);
    await first.leave();
    for (const query of ['?from=beginning', '?after=e0000000000000']) {
      const second = await followEvents(atlas, query, { 'Last-Event-ID': '' });
      expect((await second.event())!.id).toBe(one!.id);
      await second.leave();
    }
  });

  test('resumes where a list ended, and a list where a stream ended', async () => {
    const page = await listEvents(atlas, '?limit=2');
    const reader = await followEvents(atlas, `?after=${page.resumeCursor}`);
    const [next] = await reader.events(1);
    await reader.leave();
    const rest = await listEvents(atlas, `?cursor=${page.resumeCursor}&limit=1`);
    expect(rest.events.map(({ id }) => id)).toEqual([next!.id]);
    expect(rest.resumeCursor).toBe(reader.lastId);
  });

  test('sends no events of other owners', async () => {
    const headers = { Authorization: `Bearer ${await atlas.key(undefined, 'eve')}` };
    const reader = await followEvents(atlas, '?from=beginning', headers);
    await pay();
    const response = await atlas.call('POST', '/v1/accounts', { json: { ledger: 'EUR' }, headers });
    const { id } = (await response.json()) as AccountResource;
    expect((await reader.event())!.id).toBe(`${id}:0`);
    await reader.leave();
  });

  test('is not compressed, which would delay events', async () => {
    const headers = { 'Accept-Encoding': 'gzip, br, zstd' };
    const response = await atlas.call('GET', STREAM, { headers });
    expect(response.headers.get('content-encoding')).toBeNull();
    await response.body!.cancel();
  });

  test('outlives the deadline of its request', async () => {
    const headers = { 'x-envoy-expected-rq-timeout-ms': '100' };
    const reader = await followEvents(atlas, '', headers);
    await reader.block();
    await passDeadline(atlas, headers);
    const id = await pay();
    expect(transfersOf(await reader.events(1))).toEqual([id]);
    await reader.leave();
  });

  test('is not opened by HEAD', async () => {
    const response = await atlas.call('HEAD', STREAM);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(await response.text()).toBe('');
    expect((await callWithoutKey(atlas, 'HEAD', STREAM)).status).toBe(401);
  });

  test('rejects a position beyond the end of the log, which would miss events', async () => {
    const headers = { 'Last-Event-ID': 'e00000000fffff' };
    await expectProblem(atlas, await atlas.call('GET', STREAM, { headers }), 404, 'event_not_found');
  });

  test.each([
    ['/headers/Last-Event-ID', '', '7'],
    ['/headers/Last-Event-ID', '', 'a0000000000001'],
    ['/query/after', '?after=1', ''],
    ['/query/from', '?from=yesterday', ''],
    ['/query/cursor', '?cursor=e0000000000000', ''],
  ])('rejects invalid input at %s', async (pointer, query, lastId) => {
    const headers: Record<string, string> = lastId === '' ? {} : { 'Last-Event-ID': lastId };
    const response = await atlas.call('GET', `${STREAM}${query}`, { headers });
    await expectProblem(atlas, response, 400, 'invalid_request', [pointer]);
  });
});

describe('a stream ends', () => {
  test('for a revoked key, which receives no later event', async () => {
    const token = await atlas.key(['events:read']);
    const reader = await followEvents(atlas, '', { Authorization: `Bearer ${token}` });
    await reader.block();
    const { length } = 'atlas_live_';
    expect(await atlas.keys.revoke(token.slice(length, length + 16))).toBe(true);
    await pay();
    expect(await reader.event()).toBeNull();
    expect(atlas.streams.stats().ended.key).toBe(1);
  });

  test.each([
    ['that has ended', 'DELETE FROM sessions'],
    ['of a user who was removed from the organization', 'DELETE FROM memberships'],
  ])('for a session %s, which receives no later event', async (_, change) => {
    const { id, token } = await createUser(atlas, { organization: 'owner', role: 'viewer' });
    const reader = await followEvents(atlas, '', bearer(token));
    await reader.block();
    const { key } = atlas.streams.stats().ended;
    await atlas.sql.unsafe(`${change} WHERE user_id = '${id}'`);
    await pay();
    expect(await reader.event()).toBeNull();
    expect(atlas.streams.stats().ended.key).toBe(key + 1);
  });

  test('when the process drains, also one that starts just then', async () => {
    const open = await followEvents(atlas);
    await open.block();
    atlas.deps.lifecycle.draining = true;
    const late = await followEvents(atlas);
    expect(await open.event()).toBeNull();
    expect(await late.event()).toBeNull();
    atlas.deps.lifecycle.draining = false;
    expect(atlas.streams.stats().ended.drain).toBe(2);
  });
});

test('an owner has at most a hundred streams of a worker, and does not take those of others', async () => {
  const streams = await Promise.all(Array.from({ length: 100 }, () => atlas.call('GET', STREAM)));
  expect(streams.filter(({ status }) => status !== 200)).toEqual([]);
  const refused = await atlas.call('GET', STREAM);
  expect(Number(refused.headers.get('retry-after'))).toBeWithin(2, 9);
  await expectProblem(atlas, refused, 429, 'too_many_streams');
  const headers = { Authorization: `Bearer ${await atlas.key(['events:read'], 'eve')}` };
  const other = await atlas.call('GET', STREAM, { headers });
  expect(other.status).toBe(200);
  const metrics = await (await callWithoutKey(atlas, 'GET', '/metrics')).text();
  expect(metrics).toContain('\natlas_event_streams_open 101\n');
  expect(metrics).toContain('\natlas_event_streams_refused_total{reason="owner"} 1\n');
  await Promise.all([...streams, other].map(({ body }) => body!.cancel()));
  const again = await atlas.call('GET', STREAM);
  expect(again.status).toBe(200);
  await again.body!.cancel();
});
