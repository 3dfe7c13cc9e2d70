import type { EventHandler } from '../../../adapters/event-log/event-log.ts';
import { deliveriesOf } from './domain.ts';
import type { DeliveryRepository } from './repository.ts';

/** Returns the handler that turns events into deliveries to the webhooks of their owners. */
export function createFanOut(repository: Pick<DeliveryRepository, 'targetsOf' | 'insert'>): EventHandler {
  return async (events, tx) => {
    const owners = [...new Set(events.map(({ owner }) => owner))];
    await repository.insert(deliveriesOf(events, await repository.targetsOf(owners, tx)), tx);
  };
}
