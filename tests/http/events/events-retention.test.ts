import { afterAll, beforeAll, beforeEach, expect, test } from 'bun:test';
import { followEvents, type ListedEvent, listEvents } from '../../support/event-steps.ts';
import { openAccount } from '../../support/ledger-steps.ts';
import { lockTable } from '../../support/table-lock.ts';
import { START_TIMEOUT_MS, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { createWebhook, type SendingAtlas, startSendingAtlas } from '../../support/webhook-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

const STREAM = '/v1/events/stream';

let sending: SendingAtlas;
let atlas: TestApp;
let expired: readonly ListedEvent[];
/** The cursor after an event that has expired, with another one behind it. */
let behind: string;
let stranger: string;
const runJob = (name: string) => atlas.jobs.find((job) => job.name === name)!.run();
const cursorOf = (position: number | string) => `e${Number(position).toString(16).padStart(13, '0')}`;

beforeAll(async () => {
  sending = await startSendingAtlas();
  ({ atlas } = sending);
  stranger = await atlas.key(undefined, 'stranger');
  await atlas.sql`UPDATE schema_migrations SET applied_at = now() - interval '2 days' WHERE number = 9`;
  for (let i = 0; i < 3; i++) await openAccount(atlas);
  await sending.fannedOut();
  expired = (await listEvents(atlas)).events;
  behind = cursorOf(expired[0]!.position);
  await atlas.sql`ALTER TABLE events DISABLE TRIGGER USER`;
  await atlas.sql`UPDATE events SET occurred_at = now() - interval '91 days'`;
  await atlas.sql`ALTER TABLE events ENABLE TRIGGER USER`;
  for (let i = 0; i < 2; i++) await openAccount(atlas);
  await sending.fannedOut();
  await runJob('delete expired events');
}, START_TIMEOUT_MS);
afterAll(() => sending.close());
beforeEach(() => sending.reset());

test('events are stored for EVENTS_RETENTION_DAYS, and lists and streams begin with the oldest stored one', async () => {
  const { events, resumeCursor } = await listEvents(atlas);
  expect(events).toHaveLength(2);
  expect(expired).toHaveLength(3);
  expect(events.map(({ id }) => id)).not.toContain(expired[0]!.id);
  const reader = await followEvents(atlas, '?from=beginning');
  expect((await reader.events(2)).map(({ id }) => id)).toEqual(events.map(({ id }) => id));
  expect(reader.lastId).toBe(resumeCursor);
  await reader.leave();
  const metrics = atlas.registry.getSingleMetricAsString('atlas_events_expired_total');
  expect(await metrics).toContain('atlas_events_expired_total 3');
});

test('a cursor before the stored events is a 410 in a list with any filter, which says what to do', async () => {
  for (const filter of ['', '&type=account.opened.v1', `&key=${expired[0]!.subject}`]) {
    for (const cursor of [behind, cursorOf(0)]) {
      const response = await atlas.call('GET', `/v1/events?cursor=${cursor}${filter}`);
      const { detail } = await expectProblem(atlas, response, 410, 'events_expired');
      expect(detail).toMatch(/^Events after this point have expired, the last of them of \d{4}-/);
    }
  }
});

test('so is a stream that resumes there, by Last-Event-ID or by a parameter', async () => {
  const headers = { 'Last-Event-ID': behind };
  await expectProblem(atlas, await atlas.call('GET', STREAM, { headers }), 410, 'events_expired');
  const resumed = await atlas.call('GET', `${STREAM}?after=${behind}`);
  await expectProblem(atlas, resumed, 410, 'events_expired');
});

test('a cursor after the last expired event misses nothing and works', async () => {
  const cursor = cursorOf(expired[2]!.position);
  expect((await listEvents(atlas, `?cursor=${cursor}`)).events).toHaveLength(2);
  const reader = await followEvents(atlas, `?after=${cursor}`);
  expect(await reader.events(2)).toHaveLength(2);
  await reader.leave();
});

test('an owner without expired events has missed none, however old the cursor', async () => {
  const first = cursorOf(0);
  expect((await listEvents(atlas, `?cursor=${first}`, stranger)).events).toEqual([]);
  const headers = { Authorization: `Bearer ${stranger}`, 'Last-Event-ID': behind };
  const response = await atlas.call('GET', STREAM, { headers });
  expect(response.status).toBe(200);
  await response.body!.cancel();
});

test('an empty list of an owner whose events have all expired resumes behind them', async () => {
  const token = await atlas.key(undefined, 'past');
  await atlas.sql`INSERT INTO forgotten_events VALUES ('past', 3, now() - interval '91 days')`;
  const { events, resumeCursor } = await listEvents(atlas, '', token);
  expect({ events, resumeCursor }).toEqual({ events: [], resumeCursor: cursorOf(3) });
  expect((await listEvents(atlas, `?cursor=${resumeCursor}`, token)).events).toEqual([]);
});

test('a stream that is overtaken by the retention ends, and does not skip events', async () => {
  const token = await atlas.key(undefined, 'slow');
  const headers = { Authorization: `Bearer ${token}` };
  const { lastPosition } = (await atlas.sql<[{ lastPosition: number }]>`SELECT last_position FROM relay`)[0];
  const reader = await followEvents(atlas, '', headers);
  await reader.block();
  await atlas.sql`
    INSERT INTO forgotten_events VALUES ('slow', ${lastPosition + 1}, now() - interval '91 days')`;
  await atlas.call('POST', '/v1/accounts', { json: { ledger: 'EUR' }, headers });
  expect(await reader.event()).toBeNull();
  expect(atlas.streams.stats().ended.expired).toBe(1);
});

test('an expired event is not found by its id', async () => {
  await expectProblem(atlas, await atlas.call('GET', `/v1/events/${expired[0]!.id}`), 404, 'event_not_found');
});

test('a replay of expired events is a 410, unless it asks for all that are stored', async () => {
  const { id } = await createWebhook(atlas, { url: sending.receive().url });
  const replay = (json: object) => atlas.call('POST', `/v1/webhooks/${id}/replay`, { json });
  for (const start of [{ afterPosition: '1' }, { since: '2020-01-31T12:00:00Z' }])
    await expectProblem(atlas, await replay(start), 410, 'events_expired');
  const since = new Date(Date.now() - 90 * 86_400_000).toISOString();
  for (const start of [{ afterPosition: '0' }, { afterPosition: expired[2]!.position }, { since }])
    expect((await replay(start)).status).toBe(202);
});

test('a replay during which events expire is a 410, and sends none of them', async () => {
  const headers = { Authorization: `Bearer ${await atlas.key(undefined, 'racing')}` };
  const json = { ledger: 'EUR' };
  for (let i = 0; i < 3; i++) await atlas.call('POST', '/v1/accounts', { json, headers });
  await sending.fannedOut();
  const { id } = await createWebhook(atlas, { url: sending.receive().url }, headers);
  const [first] = (await listEvents(atlas, '', headers.Authorization.slice(7))).events;
  const lock = await lockTable(atlas.deps.databaseUrl, 'events');
  const start = { afterPosition: first!.position };
  const replay = atlas.call('POST', `/v1/webhooks/${id}/replay`, { json: start, headers });
  const reading = () =>
    atlas.sql`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FROM events WHERE owner%'`;
  await until(async () => (await reading()).count > 0);
  await atlas.sql`
    INSERT INTO forgotten_events VALUES ('racing', ${Number(first!.position) + 1}, now() - interval '91 days')`;
  await lock.release();
  await expectProblem(atlas, await replay, 410, 'events_expired');
  expect(await atlas.sql`SELECT FROM webhook_deliveries WHERE webhook_id = ${id}`).toHaveLength(0);
});

test('the line that reports parked events that were deleted names their key', async () => {
  const key = crypto.randomUUID();
  for (const sequence of [1, 3])
    await atlas.sql`
      INSERT INTO outbox (owner, type, key, sequence, occurred_at, data)
      VALUES ('owner', 'file.stored.v1', ${key}, ${sequence}, now(), '{}')`;
  await sending.fannedOut();
  await atlas.sql`ALTER TABLE parked_events DISABLE TRIGGER USER`;
  await atlas.sql`UPDATE parked_events SET occurred_at = now() - interval '91 days'`;
  await atlas.sql`ALTER TABLE parked_events ENABLE TRIGGER USER`;
  await runJob('delete expired events');
  const line = atlas.logs.find((text) => text.includes('never sent'))!;
  expect(JSON.parse(line)).toMatchObject({ eventKey: key, firstSequence: 3, lastSequence: 3 });
});
