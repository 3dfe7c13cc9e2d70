import type { EventHandler, OwnersOf } from '../../../adapters/event-log/event-log.ts';
import { deliveriesOf } from './domain.ts';
import type { DeliveryRepository } from './repository.ts';

/** Returns the handler that turns events into deliveries to the webhooks of their owners. */
export function createFanOut(repository: Pick<DeliveryRepository, 'targetsOf' | 'insert'>): EventHandler {
  return async (events, tx) => {
    const owners = [...new Set(events.map(({ owner }) => owner))];
    await repository.insert(deliveriesOf(events, await repository.targetsOf(owners, tx)), tx);
  };
}

// With more webhooks than this, reading their owners for each batch costs more than it saves.
const WEBHOOKS_MAX = 1000;

/** Returns the owners with webhooks that are enabled. Events of the others become no deliveries. */
export const webhookOwners: OwnersOf = async (tx) => {
  const rows = await tx.query(
    (sql) => sql<{ owner: string }[]>`SELECT owner FROM webhooks WHERE enabled LIMIT ${WEBHOOKS_MAX + 1}`,
  );
  return rows.length > WEBHOOKS_MAX ? null : [...new Set(rows.map(({ owner }) => owner))];
};
