import { DeferredEvents } from '../../adapters/event-log/deferred-events.ts';
import type { EventConsumer } from '../../adapters/event-log/event-log.ts';
import type { OutgoingHttp } from '../../adapters/http/outgoing-http.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import type { Incarnation } from '../../adapters/postgres/incarnation.ts';
import type { RouteTable } from '../../http/route.ts';
import type { ReportFailure } from '../../instrumentation/background-log.ts';
import { DEMO, DEMO_URL } from '../../utils/demo-data.ts';
import type { Sealing } from '../../utils/sealing.ts';
import type { Feature, FeatureDeclaration, SettingValues } from '../feature.ts';
import type { Idempotency } from '../idempotency.ts';
import { registerDeliveryMetrics } from './deliveries/delivery-metrics.ts';
import { DeliverySender } from './deliveries/delivery-sender.ts';
import { createDeferredFanOut, createFanOut, webhookOwners } from './deliveries/fan-out.ts';
import { createDeliveryRepository } from './deliveries/repository.ts';
import { mountDeliveries } from './deliveries/router.ts';
import { createDeliveryService, type LastExpired } from './deliveries/service.ts';
import { webhookEventTypes } from './event-types.ts';
import { webhookProblems } from './problems.ts';
import { createRetentionRepository } from './retention/repository.ts';
import { createSealingRepository } from './sealing/repository.ts';
import { webhookSettings } from './settings.ts';
import { secretContext } from './subscriptions/domain.ts';
import { createWebhookRepository } from './subscriptions/repository.ts';
import { mountWebhooks } from './subscriptions/router.ts';
import { createWebhookService, type RequireNow } from './subscriptions/service.ts';
import { limitChecks } from './subscriptions/target-checks.ts';

/** Subscriptions to events, and their deliveries. */
export const webhooks = {
  tags: ['Webhooks'],
  scopes: {
    'webhooks:read': 'Read webhooks and their deliveries.',
    'webhooks:write': 'Create, change, and delete webhooks, and replay deliveries.',
  },
  problems: webhookProblems,
  eventTypes: webhookEventTypes,
  settings: webhookSettings,
} as const satisfies FeatureDeclaration;

const CONSUMER = 'webhooks';

/** Dependencies of webhooks. */
export interface WebhookPorts {
  readonly database: Database;
  /** Holds the deliveries in flight. */
  readonly incarnation: Incarnation;
  readonly consumer: EventConsumer;
  readonly lastExpired: LastExpired;
  readonly outgoing: OutgoingHttp;
  readonly sealing: Sealing;
  readonly idempotency: Idempotency;
  readonly requireNow: RequireNow;
  readonly reportFailure: ReportFailure;
  readonly settings: SettingValues<typeof webhookSettings>;
  /** Whether an event was ever written for the key. */
  isKeyUsed(key: string): Promise<boolean>;
  /** Event types that can be subscribed to. */
  readonly types: readonly [string, ...string[]];
}

export function createWebhooks(ports: WebhookPorts) {
  const { database, incarnation, consumer, outgoing, sealing, types, idempotency } = ports;
  const subscriptions = createWebhookService({
    repository: createWebhookRepository(database),
    checkTarget: limitChecks((url, signal) => outgoing.check(url, signal)),
    sealing,
    idempotency,
    requireNow: ports.requireNow,
  });
  const repository = createDeliveryRepository(database, incarnation);
  const open = (webhookId: string, record: string) => sealing.open(record, secretContext(webhookId));
  const sender = new DeliverySender(repository, outgoing, open, (err) =>
    ports.reportFailure(err, 'a webhook delivery could not be processed; retrying'),
  );
  const secrets = createSealingRepository(database, sealing, secretContext);
  const deferred = new DeferredEvents(database, CONSUMER);
  const fanOut = createFanOut(repository, deferred);
  const deferredFanOut = createDeferredFanOut(repository);
  const retention = createRetentionRepository(database, ports.settings.WEBHOOKS_RETENTION_DAYS);
  const deliveries = createDeliveryService(repository, subscriptions, ports.lastExpired, idempotency);
  return {
    subscriptions,
    deliveries,
    async seed() {
      for (const id of [DEMO.webhook, DEMO.spareWebhook]) {
        const isNew =
          !(await ports.isKeyUsed(id)) && (await subscriptions.createDemo(DEMO.owner, id, DEMO_URL));
        if (isNew && id === DEMO.webhook) await deliveries.addDemo(DEMO.owner, id, DEMO.delivery);
      }
    },
    mount(routes: RouteTable) {
      mountWebhooks(routes, subscriptions, types);
      mountDeliveries(routes, deliveries);
    },
    metrics: (registry) =>
      registerDeliveryMetrics(
        registry,
        () => sender.stats(),
        () => deferred.stats(),
      ),
    loops: [
      { name: 'webhook fan-out', run: (signal) => consumer.run(CONSUMER, fanOut, signal, webhookOwners) },
      { name: 'webhook fan-out of deferred events', run: (signal) => deferred.run(deferredFanOut, signal) },
      sender,
    ],
    jobs: [
      { name: 'delete old webhook deliveries', by: 'one', everyMs: 600_000, run: retention.forget },
      { name: 'seal webhook secrets that are plain', by: 'one', everyMs: 3_600_000, run: secrets.sealPlain },
    ],
    secrets: [secrets],
  } satisfies Feature & Record<string, unknown>;
}
