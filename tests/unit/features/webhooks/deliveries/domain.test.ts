import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import {
  type AttemptResult,
  decide,
  deliveriesOf,
  messageIdOf,
  nextAttemptOf,
  ownersBeyond,
  positionBefore,
  RETRY_WAITS_MS,
  retryAfterMs,
  signingSecrets,
  type Target,
  TEST_TRIES,
  TRIES_MAX,
} from '../../../../../src/features/webhooks/deliveries/domain.ts';
import type { AtlasEvent } from '../../../../../src/utils/event.ts';

const NOW_MS = Date.parse('2026-06-01T12:00:00Z');
const failed = (status: number | null, retryAfter: string | null = null): AttemptResult => ({
  durationMs: 1,
  status,
  failure: status === null ? 'timeout' : 'status',
  retryAfter,
});

describe('after an attempt', () => {
  test('that succeeded, nothing more is sent', () => {
    const result = { durationMs: 1, status: 204, failure: null, retryAfter: '60' };
    expect(decide(result, 1, NOW_MS, 0.5)).toEqual({ state: 'delivered', waitMs: 0, isGone: false });
  });

  test('that failed, the next one follows after the delay of the schedule, and none after the last', () => {
    const waits = Array.from({ length: TRIES_MAX }, (_, i) => decide(failed(500), i + 1, NOW_MS, 0.5));
    expect(waits.slice(0, -1).map(({ state }) => state)).toEqual(RETRY_WAITS_MS.map(() => 'pending'));
    expect(waits.slice(0, -1).map(({ waitMs }) => waitMs)).toEqual([...RETRY_WAITS_MS]);
    expect(waits.at(-1)).toEqual({ state: 'failed', waitMs: 0, isGone: false });
    expect(RETRY_WAITS_MS.reduce((sum, ms) => sum + ms, 0) / 3_600_000).toBeCloseTo(75.58, 1);
  });

  test('each delay has jitter, whatever the target says, and is finite', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: TRIES_MAX + 5 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.constantFrom(null, 301, 400, 404, 410, 429, 500, 503),
        fc.option(fc.string()),
        (tries, random, status, retryAfter) => {
          const { state, waitMs } = decide(failed(status, retryAfter), tries, NOW_MS, random);
          expect(state).toBe(tries < TRIES_MAX ? 'pending' : 'failed');
          if (state === 'failed') return;
          const most = Math.max(RETRY_WAITS_MS[tries - 1]! * 1.2, 24 * 3_600_000);
          expect(waitMs).toBeGreaterThanOrEqual(Math.floor(RETRY_WAITS_MS[tries - 1]! * 0.8));
          expect(waitMs).toBeLessThanOrEqual(Math.ceil(most));
        },
      ),
    );
  });

  test('a Retry-After of 429 and 503 extends the delay, never shortens it, and is ignored elsewhere', () => {
    expect(decide(failed(429, '90'), 1, NOW_MS, 0.5).waitMs).toBe(90_000);
    expect(decide(failed(503, '90'), 1, NOW_MS, 0.5).waitMs).toBe(90_000);
    expect(decide(failed(503, '1'), 2, NOW_MS, 0.5).waitMs).toBe(300_000);
    expect(decide(failed(500, '90'), 1, NOW_MS, 0.5).waitMs).toBe(5000);
    expect(decide(failed(503, '9999999999'), 1, NOW_MS, 0.5).waitMs).toBe(24 * 3_600_000);
  });

  test('only a 410 means that the target is gone', () => {
    for (const status of [404, 409, 411, 500, null])
      expect(decide(failed(status), 1, NOW_MS, 0).isGone).toBe(false);
    expect(decide(failed(410), 1, NOW_MS, 0).isGone).toBe(true);
    expect(decide(failed(410), TRIES_MAX, NOW_MS, 0).isGone).toBe(true);
  });
});

test.each([
  [null, 0],
  ['', 0],
  ['0', 0],
  ['120', 120_000],
  ['-5', 0],
  ['soon', 0],
  ['Mon, 01 Jun 2026 12:00:30 GMT', 30_000],
  ['Mon, 01 Jun 2020 12:00:30 GMT', 0],
  ['Mon, 01 Jun 2099 12:00:30 GMT', 24 * 3_600_000],
])('Retry-After %p is parsed as %p ms', (header, waitMs) => {
  expect(retryAfterMs(header, NOW_MS)).toBe(waitMs);
});

describe('events become deliveries', () => {
  const event = (change: Partial<AtlasEvent> = {}): AtlasEvent => ({
    owner: 'alice',
    type: 'account.opened.v1',
    key: 'k',
    sequence: 0,
    occurredAt: '2026-06-01T12:00:00.123Z',
    data: { a: 1 },
    ...change,
  });
  const target = (id: string, change: Partial<Target> = {}): Target => ({
    id,
    owner: 'alice',
    eventTypes: null,
    createdAt: new Date('2026-06-01T12:00:00.123Z'),
    ...change,
  });
  const idsOf = (events: AtlasEvent[], targets: Target[]) =>
    deliveriesOf(events, targets).map(({ webhookId, eventId }) => messageIdOf(eventId, webhookId));

  test('one for each webhook of the owner, and none for webhooks of others', () => {
    const targets = [target('1'), target('2'), target('3', { owner: 'bob' })];
    expect(idsOf([event(), event({ owner: 'carol', key: 'c' }), event({ sequence: 1 })], targets)).toEqual([
      'k:0:1',
      'k:0:2',
      'k:1:1',
      'k:1:2',
    ]);
  });

  test('for the types that the webhook names', () => {
    const targets = [
      target('1', { eventTypes: ['account.debited.v1'] }),
      target('2', { eventTypes: ['account.opened.v1'] }),
    ];
    expect(idsOf([event()], targets)).toEqual(['k:0:2']);
  });

  test('but not for events from before the webhook was created', () => {
    const before = event({ occurredAt: '2026-06-01T12:00:00.122Z' });
    expect(idsOf([before, event({ sequence: 1 })], [target('1')])).toEqual(['k:1:1']);
  });

  test('whose bodies are the CloudEvents', () => {
    const [delivery] = deliveriesOf([event()], [target('1')]);
    expect(JSON.parse(delivery!.body)).toMatchObject({
      specversion: '1.0',
      id: 'k:0',
      type: 'account.opened.v1',
      subject: 'k',
      sequence: '0',
      data: { a: 1 },
    });
  });
});

test('a delivery is signed with the current secret first, and with the old one while there is one', () => {
  const [current, old] = [new Uint8Array([1]), new Uint8Array([2])];
  expect(signingSecrets(current, null)).toEqual([current]);
  expect(signingSecrets(current, old)).toEqual([current, old]);
});

test('only a pending delivery that is not being sent has a next attempt', () => {
  const dueAt = new Date('2026-01-02T03:04:05Z');
  expect(nextAttemptOf('pending', false, dueAt)).toBe('2026-01-02T03:04:05.000Z');
  expect(nextAttemptOf('pending', true, dueAt)).toBeNull();
  expect(nextAttemptOf('delivered', false, dueAt)).toBeNull();
  expect(nextAttemptOf('failed', false, dueAt)).toBeNull();
});

test('a test delivery has one try left', () => {
  expect(TEST_TRIES).toBe(TRIES_MAX - 1);
  expect(
    decide({ durationMs: 1, status: 500, failure: 'status', retryAfter: null }, TEST_TRIES + 1, 0, 0.5),
  ).toEqual({
    state: 'failed',
    waitMs: 0,
    isGone: false,
  });
});

describe('the position before a time', () => {
  test('is the one before the first event since then', () => {
    expect(positionBefore({ first: 7, last: 9, scanned: 5, since: 2 }, 10)).toBe(6);
  });

  test('is the newest one when no event is that recent, and 0 without events', () => {
    expect(positionBefore({ first: null, last: 9, scanned: 5, since: 0 }, 10)).toBe(9);
    expect(positionBefore({ first: null, last: 0, scanned: 0, since: 0 }, 10)).toBe(0);
  });

  test('is unknown when every scanned event is more recent and there are older ones', () => {
    expect(positionBefore({ first: 3, last: 13, scanned: 11, since: 11 }, 10)).toBeNull();
    expect(positionBefore({ first: 4, last: 13, scanned: 11, since: 10 }, 10)).toBe(3);
    expect(positionBefore({ first: 1, last: 10, scanned: 10, since: 10 }, 10)).toBe(0);
  });
});

describe('the owners whose events are deferred', () => {
  const rows = (counts: Record<string, number>) =>
    Object.entries(counts).flatMap(([owner, count]) => Array.from({ length: count }, () => ({ owner })));
  const beyond = (counts: Record<string, number>, max: number) => [...ownersBeyond(rows(counts), max)].sort();

  test('are none if all deliveries fit', () => {
    expect(beyond({ alice: 600, bob: 400 }, 1000)).toEqual([]);
  });

  test('are those with the most deliveries, wherever they are in the batch', () => {
    expect(beyond({ alice: 900, bob: 20, carol: 80, dave: 2 }, 1000)).toEqual(['alice']);
    expect(beyond({ bob: 20, alice: 2000, carol: 900, dave: 200 }, 1000)).toEqual(['alice', 'carol']);
  });
});
