import type { Database } from '../../adapters/postgres/database.ts';
import type { RouteTable } from '../../http/route.ts';
import type { Logger } from '../../instrumentation/logger.ts';
import type { Feature, FeatureDeclaration } from '../feature.ts';
import type { Searches } from '../searches.ts';
import { registerAuditMetrics } from './audit-metrics.ts';
import { createEntryRepository } from './entries/repository.ts';
import { mountAudit } from './entries/router.ts';
import { type ChainSettings, openOutsideStore } from './sealing/outside-store.ts';
import { createSealingRepository } from './sealing/repository.ts';
import { createAuditSealing } from './sealing/service.ts';

/** Who changed what. Entries are written by the features themselves, in the transactions of their changes. */
export const audit = {
  tags: ['Audit'],
  scopes: { 'audit:read': 'Read who changed what in the organization.' },
  problems: {},
  eventTypes: {},
  settings: {},
} as const satisfies FeatureDeclaration;

// A page takes a few milliseconds of the event loop, and a filter may read the whole log of an organization.
const LISTS_MAX = 1;

/** Dependencies of the audit log. */
export interface AuditPorts {
  readonly database: Database;
  readonly searches: Searches;
  readonly logger: Logger;
  readonly settings: ChainSettings;
  readonly isEmbedded: boolean;
}

export function createAudit({ database, searches, logger, settings, isEmbedded }: AuditPorts) {
  const sealing = createAuditSealing(
    createSealingRepository(database),
    openOutsideStore(settings, isEmbedded),
    // The log is outside of the database too, and usually leaves the host.
    (head) => logger.info(head, 'audit head'),
  );
  const { list } = createEntryRepository(database);
  const inTurn = searches.inTurn(LISTS_MAX, 'Ask for a shorter time, or for fewer entries.');
  return {
    sealing,
    mount: (routes: RouteTable) =>
      mountAudit(routes, {
        list: (organization, filter, after, limit, signal) =>
          inTurn(organization, signal, () => list(organization, filter, after, limit, signal)),
      }),
    metrics: (registry) => registerAuditMetrics(registry, sealing.stats),
    jobs: [{ name: 'seal audit entries', by: 'one', everyMs: 1000, run: sealing.seal }],
  } satisfies Feature & Record<string, unknown>;
}
