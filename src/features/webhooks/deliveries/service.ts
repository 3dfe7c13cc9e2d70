import { AtlasError } from '../../../errors.ts';
import { eventsExpired } from '../../events-expired.ts';
import type { Done, Idempotency } from '../../idempotency.ts';
import type { WebhookService } from '../subscriptions/service.ts';
import {
  type Attempt,
  type Delivery,
  type DeliveryState,
  positionBefore,
  type Replayed,
  TEST_TRIES,
  testDelivery,
} from './domain.ts';
import type { DeliveryRepository } from './repository.ts';

/** Where a replay starts: at a time, or after a position in the log. */
export type ReplayStart = { readonly since: string } | { readonly afterPosition: number };

/** Operations on deliveries. All are scoped to one webhook of one owner, and throw `AtlasError`. */
export interface DeliveryService {
  list(
    owner: string,
    webhookId: string,
    state: DeliveryState | null,
    beforeId: string | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<{ deliveries: Delivery[]; nextId: string | null }>;
  /** Returns a delivery with its body and attempts. */
  find(
    owner: string,
    webhookId: string,
    id: string,
    signal?: AbortSignal,
  ): Promise<{ delivery: Delivery; body: string; attempts: Attempt[] }>;
  /** Sends a delivery again, in any state, with a new round of retries. */
  replay(
    owner: string,
    webhookId: string,
    id: string,
    signal?: AbortSignal,
    idempotencyKey?: string,
  ): Promise<Done<Delivery>>;
  /** Sends past events, up to a limit per call. Throws `events_expired` if some of them were deleted. */
  replayEvents(
    owner: string,
    webhookId: string,
    start: ReplayStart,
    includeDelivered: boolean,
    signal?: AbortSignal,
  ): Promise<Replayed>;
  /** Adds a test delivery with this ID. */
  addDemo(owner: string, webhookId: string, id: string): Promise<Delivery>;
  /** Sends a test event, with a single attempt. */
  sendTest(
    owner: string,
    webhookId: string,
    signal?: AbortSignal,
    idempotencyKey?: string,
  ): Promise<Done<Delivery>>;
}

/** Returns the last event of the owner that was deleted after its retention, or null if none was. */
export type LastExpired = (
  owner: string,
  signal?: AbortSignal,
) => Promise<{ readonly position: number; readonly occurredAt: Date } | null>;

const REPLAY_EVENTS_MAX = 1000;
const SEARCH_EVENTS_MAX = 100_000;

export function createDeliveryService(
  repository: DeliveryRepository,
  webhooks: Pick<WebhookService, 'find'>,
  lastExpired: LastExpired,
  idempotency: Idempotency,
): DeliveryService {
  async function positionOf(owner: string, start: ReplayStart, signal?: AbortSignal): Promise<number> {
    const expired = await lastExpired(owner, signal);
    if ('afterPosition' in start) {
      const { afterPosition } = start;
      if (expired !== null && !asksForAll(start) && expired.position > afterPosition)
        throw eventsExpired(expired);
      return afterPosition;
    }
    if (expired !== null && expired.occurredAt.getTime() >= Date.parse(start.since))
      throw eventsExpired(expired);
    const scan = await repository.scanSince(owner, start.since, SEARCH_EVENTS_MAX, signal);
    const position = positionBefore(scan, SEARCH_EVENTS_MAX);
    if (position !== null) return position;
    const detail = `is before your last ${SEARCH_EVENTS_MAX} events; use afterPosition instead`;
    throw new AtlasError('invalid_request', 'The time is too far in the past; see `errors`.', {
      errors: [{ pointer: '/since', detail }],
    });
  }

  return {
    async list(owner, webhookId, state, beforeId, limit, signal) {
      await webhooks.find(owner, webhookId, signal);
      return repository.list(webhookId, state, beforeId, limit, signal);
    },
    async find(owner, webhookId, id, signal) {
      await webhooks.find(owner, webhookId, signal);
      return (await repository.find(webhookId, id, signal)) ?? notFound(id);
    },
    async replay(owner, webhookId, id, signal, key) {
      await webhooks.find(owner, webhookId, signal);
      return idempotency.run(
        { owner, key, content: ['replayWebhookDelivery', webhookId, id] },
        async (tx) => (await repository.replay(webhookId, id, { signal, tx })) ?? notFound(id),
        signal,
      );
    },
    async replayEvents(owner, webhookId, start, includeDelivered, signal) {
      const { eventTypes } = await webhooks.find(owner, webhookId, signal);
      const after = await positionOf(owner, start, signal);
      // A replay includes events from before the webhook was created.
      const target = { id: webhookId, owner, eventTypes, createdAt: new Date(0) };
      const read = await repository.readToReplay(target, after, REPLAY_EVENTS_MAX, signal);
      // Check again: events that were deleted before the replay has read them are known by now, and nothing was sent.
      const expired = asksForAll(start) ? null : await lastExpired(owner, signal);
      if (expired !== null && expired.position > after) throw eventsExpired(expired);
      const deliveries = await repository.replayEvents(read.deliveries, includeDelivered, signal);
      return { deliveries, nextPosition: read.nextPosition };
    },
    addDemo: (owner, webhookId, id) =>
      repository.add({ ...testDelivery(owner, webhookId, new Date().toISOString()), id }, TEST_TRIES),
    async sendTest(owner, webhookId, signal, key) {
      await webhooks.find(owner, webhookId, signal);
      const delivery = testDelivery(owner, webhookId, new Date().toISOString());
      return idempotency.run(
        { owner, key, content: ['testWebhook', webhookId] },
        (tx) => repository.add(delivery, TEST_TRIES, { signal, tx }),
        signal,
      );
    },
  };
}

/** Whether a replay starts with the oldest event that is stored, so that none it asks for has expired. */
function asksForAll(start: ReplayStart): boolean {
  return 'afterPosition' in start && start.afterPosition === 0;
}

function notFound(id: string): never {
  throw new AtlasError('delivery_not_found', `This webhook has no delivery ${id}.`);
}
