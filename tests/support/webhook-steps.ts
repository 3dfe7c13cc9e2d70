import { expect } from 'bun:test';
import { BackgroundLoops } from '../../src/resilience/background-loops.ts';
import type { ApiCaller } from './api-caller.ts';
import { startTestApp, type TestApp } from './test-app.ts';
import { until } from './until.ts';
import { startReceiver, type WebhookReceiver } from './webhook-receiver.ts';

const BACKOFF = { RETRY_MULTIPLIER: 2, RETRY_MIN_WAIT: 0.01, RETRY_MAX_WAIT: 0.1, RETRY_JITTER: false };

/** An Atlas with a running relay, fan-out and sender, which may connect to this machine. */
export interface SendingAtlas {
  readonly atlas: TestApp;
  /** Starts a receiver that is stopped by `reset`. */
  receive(): WebhookReceiver;
  /** Makes all pending deliveries due now. */
  hurry(): Promise<unknown>;
  /** Resolves when all events so far have become deliveries. */
  fannedOut(): Promise<unknown>;
  /** Deletes all webhooks and stops all receivers, to isolate tests. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

export async function startSendingAtlas(settings: Record<string, string> = {}): Promise<SendingAtlas> {
  const atlas = await startTestApp({ WEBHOOKS_ALLOWED_HOSTS: '127.0.0.1', ...settings });
  const loops = new BackgroundLoops(atlas.loops, BACKOFF, (name, error) => console.error(name, error));
  const receivers: WebhookReceiver[] = [];
  const { sql } = atlas;
  loops.start();
  return {
    atlas,
    receive() {
      const receiver = startReceiver();
      receivers.push(receiver);
      return receiver;
    },
    async hurry() {
      await sql`UPDATE webhook_deliveries SET next_attempt_at = now() WHERE state = 'pending' AND leased_until IS NULL`;
    },
    fannedOut: () =>
      until(async () => {
        const [row] = await sql`
          SELECT r.last_position = o.position AND NOT EXISTS (SELECT FROM outbox)
            AND NOT EXISTS (SELECT FROM deferred_events) AS done
          FROM relay r, consumer_offsets o WHERE o.consumer = 'webhooks' AND o.partition = -1`;
        return row?.done;
      }),
    async reset() {
      await sql`UPDATE webhooks SET enabled = false, deleted_at = now()`;
      await Promise.all(receivers.splice(0).map((receiver) => receiver.stop()));
    },
    async close() {
      await loops.stop();
      await atlas.close();
    },
  };
}

/** For webhooks whose secrets are plain. */
export function noneSealed(): never {
  throw new Error('No secret is sealed here.');
}

/** A webhook as the API returns it. */
export interface WebhookResource {
  readonly id: string;
  readonly url: string;
  readonly eventTypes: readonly string[] | null;
  readonly enabled: boolean;
  readonly disabledReason: string | null;
  readonly disabledAt: string | null;
  readonly failingSince: string | null;
  readonly oldSecretUntil: string | null;
}

/** A delivery as the API returns it. Body and attempts are present if it was read by id. */
export interface DeliveryResource {
  readonly id: string;
  readonly eventId: string;
  readonly eventType: string;
  readonly state: 'pending' | 'delivered' | 'failed';
  readonly attemptCount: number;
  readonly nextAttemptAt: string | null;
  readonly body: string;
  readonly attempts: readonly {
    number: number;
    status: number | null;
    failure: string | null;
    durationMs: number;
  }[];
}

export async function createWebhook(
  atlas: ApiCaller,
  json: object,
  headers: Record<string, string> = {},
): Promise<WebhookResource & { secret: string }> {
  const response = await atlas.call('POST', '/v1/webhooks', { json, headers });
  expect(response.status).toBe(201);
  return (await response.json()) as WebhookResource & { secret: string };
}

export async function readDelivery(
  atlas: ApiCaller,
  webhookId: string,
  id: string,
): Promise<DeliveryResource> {
  const response = await atlas.call('GET', `/v1/webhooks/${webhookId}/deliveries/${id}`);
  expect(response.status).toBe(200);
  return (await response.json()) as DeliveryResource;
}

export async function listDeliveries(
  atlas: ApiCaller,
  webhookId: string,
  query = '',
): Promise<readonly DeliveryResource[]> {
  const response = await atlas.call('GET', `/v1/webhooks/${webhookId}/deliveries${query}`);
  expect(response.status).toBe(200);
  return ((await response.json()) as { deliveries: DeliveryResource[] }).deliveries;
}

export async function readWebhook(atlas: ApiCaller, id: string): Promise<WebhookResource> {
  return (await (await atlas.call('GET', `/v1/webhooks/${id}`)).json()) as WebhookResource;
}

/** Waits until the webhook has this many deliveries in the state, and returns them. */
export function deliveriesIn(
  atlas: ApiCaller,
  webhookId: string,
  state: DeliveryResource['state'],
  count: number,
): Promise<readonly DeliveryResource[]> {
  return until(async () => {
    const found = await listDeliveries(atlas, webhookId, `?state=${state}&limit=200`);
    return found.length >= count && found;
  });
}

/** The reasons in the audit log for which Atlas itself has disabled the webhook. */
export async function disablingsOf(atlas: ApiCaller, id: string): Promise<string[]> {
  const response = await atlas.call('GET', `/v1/audit?targetId=${id}&action=webhook.disabled`);
  const { entries } = (await response.json()) as {
    entries: { actor: object; after: { disabledReason: string } }[];
  };
  return entries.map(({ actor, after }) => {
    expect(actor).toEqual({ kind: 'system', id: 'webhook deliveries' });
    return after.disabledReason;
  });
}
