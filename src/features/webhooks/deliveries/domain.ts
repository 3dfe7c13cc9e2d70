import { type AtlasEvent, eventIdOf, toCloudEvent } from '../../../utils/event.ts';
import { createReservedId } from '../../../utils/reserved-id.ts';

export const DELIVERY_STATES = ['pending', 'delivered', 'failed'] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

/** The delivery of one event to one webhook, as its owner sees it. Times are RFC 3339, UTC. */
export interface Delivery {
  readonly id: string;
  readonly webhookId: string;
  readonly eventId: string;
  readonly eventType: string;
  readonly state: DeliveryState;
  /** Attempts started. */
  readonly attemptCount: number;
  /** Null if no attempt is scheduled, or while one is in progress. */
  readonly nextAttemptAt: string | null;
  readonly createdAt: string;
}

/** One attempt. `status` is null if there was no response; `failure` is null on success. */
export interface Attempt {
  readonly number: number;
  readonly startedAt: string;
  readonly durationMs: number;
  readonly status: number | null;
  readonly failure: string | null;
}

/** A delivery that has not been stored yet. */
export interface NewDelivery {
  readonly id: string;
  /** The owner of the webhook and of the event. */
  readonly owner: string;
  readonly webhookId: string;
  readonly eventId: string;
  readonly eventType: string;
  /** The bytes to send: a CloudEvent as JSON, the same for all webhooks. */
  readonly body: string;
}

/** The properties of a webhook that decide which events it receives. */
export interface Target {
  readonly id: string;
  readonly owner: string;
  readonly eventTypes: readonly string[] | null;
  readonly createdAt: Date;
}

/** A delivery leased to this process, with everything that an attempt needs. */
export interface Claim {
  readonly id: string;
  readonly webhookId: string;
  readonly eventId: string;
  readonly body: string;
  /** The number of this attempt. Only the result of the latest one is accepted. */
  readonly attempts: number;
  /** Attempts in the current round of retries, including this one. */
  readonly tries: number;
  readonly url: string;
  /** All valid secrets, the current one first: plain, or as a sealed record. */
  readonly secrets: readonly (Uint8Array | string)[];
}

/** Due deliveries, for metrics. */
export interface Backlog {
  readonly dueCount: number;
  readonly dueAgeSeconds: number;
  readonly disabledWebhooks: number;
}

/** Past events that a replay has read. */
export interface ToReplay {
  readonly deliveries: readonly NewDelivery[];
  /** The position to continue after; null if there are no more events. */
  readonly nextPosition: number | null;
}

/** The result of a replay of past events. */
export interface Replayed extends Pick<ToReplay, 'nextPosition'> {
  readonly deliveries: number;
}

/** What a search for the first event since a time has found. */
export interface SinceScan {
  /** The position of that event; null if no event is that recent. */
  readonly first: number | null;
  /** The position of the newest event, 0 if there is none. */
  readonly last: number;
  /** How many events were scanned, and how many of them happened since the time. */
  readonly scanned: number;
  readonly since: number;
}

/** The result of an attempt. `failure` is one of a few fixed values, null on success. */
export interface AttemptResult {
  readonly durationMs: number;
  readonly status: number | null;
  readonly failure: string | null;
  readonly retryAfter: string | null;
}

/** The state of a delivery after an attempt. */
export interface DeliveryOutcome {
  readonly state: DeliveryState;
  /** Time to the next attempt, if the state is pending. */
  readonly waitMs: number;
  /** Whether the target responded 410 Gone. */
  readonly isGone: boolean;
}

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
/** Delays after each failed attempt: the schedule of Standard Webhooks, 10 attempts in about three days. */
export const RETRY_WAITS_MS: readonly number[] = [
  5 * SECOND_MS,
  5 * MINUTE_MS,
  30 * MINUTE_MS,
  2 * HOUR_MS,
  5 * HOUR_MS,
  10 * HOUR_MS,
  14 * HOUR_MS,
  20 * HOUR_MS,
  24 * HOUR_MS,
];
export const TRIES_MAX = RETRY_WAITS_MS.length + 1;
/** A webhook is disabled after every attempt has failed for this long. */
export const FAILING_DAYS_MAX = 5;
/** Failures further apart than this are separate outages. Longer than any delay between two attempts. */
export const FAILING_SILENT_HOURS_MAX = 36;

/** Maximum deliveries of a webhook in flight, across all hosts. */
export const SLOTS_PER_WEBHOOK = 8;
/** Maximum deliveries of an owner in flight: half of what one host sends, so that no owner blocks the others. */
export const SLOTS_PER_OWNER = 32;
/** How long a claim lasts: longer than an attempt, and recording its result. */
export const LEASE_MS = 60_000;
/** How long a delivery waits, on average, for a host that can open the secret of its webhook. */
export const SECRET_WAIT_MS = 60_000;
/** Tries of the round that a test delivery counts as used, so that it is sent once. */
export const TEST_TRIES = TRIES_MAX - 1;

// Each delay is drawn from 80 to 120 % of its length, so that deliveries that failed together are not retried together.
const JITTER = 0.2;
const RETRY_AFTER_MS_MAX = 24 * HOUR_MS;
const GONE = 410;
const TEST_TYPE = 'webhook.test.v1';

/** The message id of Standard Webhooks, which all attempts and replays of an event to a webhook share. */
export function messageIdOf(eventId: string, webhookId: string): string {
  return `${eventId}:${webhookId}`;
}

/** Creates a delivery for each webhook of the owner that subscribes to the type and existed when the event happened. */
export function deliveriesOf(events: readonly AtlasEvent[], targets: readonly Target[]): NewDelivery[] {
  const byOwner = Map.groupBy(targets, ({ owner }) => owner);
  return events.flatMap((event) => {
    const subscribers = (byOwner.get(event.owner) ?? []).filter(
      ({ eventTypes, createdAt }) =>
        (eventTypes === null || eventTypes.includes(event.type)) &&
        // To the millisecond, the precision of event times.
        Date.parse(event.occurredAt) >= createdAt.getTime(),
    );
    if (subscribers.length === 0) return [];
    const body = JSON.stringify(toCloudEvent(event));
    return subscribers.map(({ id }) => deliveryOf(event, body, id));
  });
}

/** Returns the owners that have the most deliveries, if all are more than the maximum: the others have no more. */
export function ownersBeyond(
  deliveries: readonly Pick<NewDelivery, 'owner'>[],
  max: number,
): ReadonlySet<string> {
  const beyond = new Set<string>();
  const counts = Map.groupBy(deliveries, ({ owner }) => owner);
  let sum = 0;
  for (const [owner, { length }] of [...counts].sort(([, a], [, b]) => a.length - b.length)) {
    sum += length;
    if (sum > max) beyond.add(owner);
  }
  return beyond;
}

/** Creates the delivery of a test event, which is not in the log. */
export function testDelivery(owner: string, webhookId: string, occurredAt: string): NewDelivery {
  const key = createReservedId('test event');
  const event = { owner, type: TEST_TYPE, key, sequence: 0, occurredAt, data: { webhookId } };
  return deliveryOf(event, JSON.stringify(toCloudEvent(event)), webhookId);
}

function deliveryOf(event: AtlasEvent, body: string, webhookId: string): NewDelivery {
  const { owner, type: eventType } = event;
  return { id: Bun.randomUUIDv7(), owner, webhookId, eventId: eventIdOf(event), eventType, body };
}

/**
 * Decides the state of a delivery after an attempt. `tries` counts the attempts of this round, including this one;
 * `random` is from 0 to 1. A target can extend the delay with Retry-After, to at most a day.
 */
export function decide(
  { status, failure, retryAfter }: AttemptResult,
  tries: number,
  nowMs: number,
  random: number,
): DeliveryOutcome {
  if (failure === null) return { state: 'delivered', waitMs: 0, isGone: false };
  const waitMs = RETRY_WAITS_MS[tries - 1];
  const isGone = status === GONE;
  if (waitMs === undefined) return { state: 'failed', waitMs: 0, isGone };
  const jittered = waitMs * (1 - JITTER + 2 * JITTER * random);
  const requestedMs = status === 429 || status === 503 ? retryAfterMs(retryAfter, nowMs) : 0;
  return { state: 'pending', waitMs: Math.round(Math.max(jittered, requestedMs)), isGone };
}

/** Parses a Retry-After header (RFC 9110, section 10.2.3), in seconds or a date, to milliseconds; 0 if invalid. */
export function retryAfterMs(header: string | null, nowMs: number): number {
  if (header === null) return 0;
  const waitMs = /^\d{1,10}$/.test(header) ? Number(header) * SECOND_MS : Date.parse(header) - nowMs;
  return Number.isNaN(waitMs) ? 0 : Math.min(RETRY_AFTER_MS_MAX, Math.max(0, waitMs));
}

/** Returns the secrets that sign a delivery, the current one first. */
export function signingSecrets<T>(secret: T, oldSecret: T | null): readonly T[] {
  return oldSecret === null ? [secret] : [secret, oldSecret];
}

/** Returns when the next attempt is due, or null if none is planned or one is running. */
export function nextAttemptOf(state: DeliveryState, isRunning: boolean, dueAt: Date): string | null {
  return state === 'pending' && !isRunning ? dueAt.toISOString() : null;
}

/** Returns the position before the first event since the time, or null if it lies before the scanned events. */
export function positionBefore({ first, last, scanned, since }: SinceScan, scanMax: number): number | null {
  if (scanned > scanMax && since === scanned) return null;
  return first === null ? last : first - 1;
}
