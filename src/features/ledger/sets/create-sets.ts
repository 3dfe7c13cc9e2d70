import type { Registry } from 'prom-client';
import type { RouteTable } from '../../../http/route.ts';
import type { AccountService } from '../accounts/service.ts';
import type { Submit } from '../submit.ts';
import { mountExchanges } from './exchange-routes.ts';
import { createExchangeService } from './exchanges.ts';
import type { ExchangeRepository } from './repository.ts';
import { mountSets } from './router.ts';
import { createSetService } from './service.ts';
import { SetOutcomes } from './set-outcomes.ts';

/** Creates what posts sets, and what reads the exchanges in them. */
export function createSets(repository: ExchangeRepository, submit: Submit, accounts: AccountService) {
  const outcomes = new SetOutcomes();
  const sets = createSetService(repository, submit, outcomes);
  const exchanges = createExchangeService(repository);
  return {
    post: sets.post,
    exchanges,
    mount(routes: RouteTable) {
      mountSets(routes, sets);
      mountExchanges(routes, exchanges, accounts);
    },
    metrics: (registry: Registry) => outcomes.register(registry),
  };
}
