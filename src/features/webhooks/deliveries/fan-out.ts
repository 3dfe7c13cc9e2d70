import type { DeferredEvents } from '../../../adapters/event-log/deferred-events.ts';
import type { EventHandler, OwnersOf } from '../../../adapters/event-log/event-log.ts';
import { eventIdOf } from '../../../utils/event.ts';
import { deliveriesOf, ownersBeyond } from './domain.ts';
import type { DeliveryRepository } from './repository.ts';

type Deliveries = Pick<DeliveryRepository, 'targetsOf' | 'insert'>;

// How many deliveries a batch may become at once, on top of one for each event: twice a full batch.
const EXTRA_DELIVERIES_MAX = 1000;

/**
 * Returns the handler that turns events into deliveries to the webhooks of their owners. A batch becomes a bounded
 * number of deliveries, so that owners with many webhooks do not delay the events of others: the rest is deferred.
 */
export function createFanOut(
  repository: Deliveries,
  deferred: Pick<DeferredEvents, 'ownersAmong' | 'defer'>,
): EventHandler {
  return async (events, tx) => {
    const targets = await repository.targetsOf(ownersOf(events), tx);
    if (targets.length === 0) return;
    // Later events of an owner stay behind its deferred ones.
    const behind = await deferred.ownersAmong(ownersOf(targets), tx);
    const deliveries = deliveriesOf(
      events.filter(({ owner }) => !behind.has(owner)),
      targets,
    );
    const beyond = ownersBeyond(deliveries, events.length + EXTRA_DELIVERIES_MAX);
    if (behind.size + beyond.size === 0) return repository.insert(deliveries, tx);
    const later = await deferred.defer(
      events.filter(({ owner }) => behind.has(owner) || beyond.has(owner)),
      tx,
    );
    await repository.insert(
      deliveriesOf(
        events.filter((event) => !later.has(eventIdOf(event))),
        targets,
      ),
      tx,
    );
  };
}

/** Returns the handler that turns deferred events into deliveries. */
export function createDeferredFanOut(repository: Deliveries): EventHandler {
  return async (events, tx) =>
    repository.insert(deliveriesOf(events, await repository.targetsOf(ownersOf(events), tx)), tx);
}

const ownersOf = (rows: readonly { readonly owner: string }[]) => [
  ...new Set(rows.map(({ owner }) => owner)),
];

// With more webhooks than this, reading their owners for each batch costs more than it saves.
const WEBHOOKS_MAX = 1000;

/** Returns the owners with webhooks that are enabled. Events of the others become no deliveries. */
export const webhookOwners: OwnersOf = async (tx) => {
  const rows = await tx.query(
    (sql) => sql<{ owner: string }[]>`SELECT owner FROM webhooks WHERE enabled LIMIT ${WEBHOOKS_MAX + 1}`,
  );
  return rows.length > WEBHOOKS_MAX ? null : [...new Set(rows.map(({ owner }) => owner))];
};
