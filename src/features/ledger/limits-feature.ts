import type { Database } from '../../adapters/postgres/database.ts';
import type { Feature } from '../feature.ts';
import type { Idempotency } from '../idempotency.ts';
import { createDemoLimits } from './limits/demo-limits.ts';
import { LimitRefusals, registerLimitMetrics } from './limits/limit-metrics.ts';
import { mountOperatorLimits } from './limits/operator-router.ts';
import { createLimitRepository } from './limits/repository.ts';
import { mountLimits } from './limits/router.ts';
import { createLimitService } from './limits/service.ts';

const PURGE_MS = 3_600_000;

/** Builds the part of the ledger that is about limits across accounts. */
export function createLimits(database: Database, idempotency: Idempotency) {
  const repository = createLimitRepository(database);
  const service = createLimitService(repository, idempotency);
  const refusals = new LimitRefusals();
  return {
    service,
    refusals,
    seed: () => createDemoLimits(repository),
    mount(routes) {
      mountLimits(routes, service);
      mountOperatorLimits(routes, service);
    },
    metrics: (registry) => registerLimitMetrics(registry, refusals),
    jobs: [
      {
        name: 'delete rows of deleted limits',
        by: 'one',
        everyMs: PURGE_MS,
        run: () => repository.purge(),
      },
    ],
  } satisfies Feature & Record<string, unknown>;
}
