import type { Database } from '../../adapters/postgres/database.ts';
import type { Feature } from '../feature.ts';
import type { AccountService } from './accounts/service.ts';
import { createExpiry } from './holds/expiry.ts';
import { type HoldOutcomes, registerHoldMetrics } from './holds/hold-metrics.ts';
import { createHoldRepository } from './holds/repository.ts';
import { mountHolds } from './holds/router.ts';
import { createHoldService } from './holds/service.ts';
import type { Submit } from './submit.ts';

const EXPIRY_MS = 1000;

/** What holds need of the rest of the ledger. */
export interface HoldPorts {
  readonly submit: Submit;
  readonly accounts: AccountService;
  readonly outcomes: HoldOutcomes;
  /** Called when holds have expired, so that their events are sent without delay. */
  onExpired(): void;
}

/** Builds the part of the ledger that reserves money. */
export function createHolds(database: Database, { submit, accounts, outcomes, onExpired }: HoldPorts) {
  const repository = createHoldRepository(database);
  const service = createHoldService(repository, submit);
  const expiry = createExpiry({ ...repository, onExpired });
  return {
    service,
    mount: (routes) => mountHolds(routes, service, accounts),
    metrics: (registry) => registerHoldMetrics(registry, outcomes, expiry.stats),
    jobs: [{ name: 'release expired holds', by: 'one', everyMs: EXPIRY_MS, run: expiry.run }],
  } satisfies Feature & Record<string, unknown>;
}
