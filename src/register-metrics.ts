import type { Registry } from 'prom-client';
import type { Deps } from './deps.ts';
import type { RedStats } from './envelope/red-stats.ts';
import { registerCacheMetrics } from './instrumentation/cache-metrics.ts';
import { registerDependencyMetrics } from './instrumentation/dependency-metrics.ts';
import { registerConsumerMetrics, registerRelayMetrics } from './instrumentation/event-metrics.ts';
import { registerFileMetrics } from './instrumentation/file-metrics.ts';
import {
  registerDatabaseMetrics,
  registerHttpMetrics,
  registerLedgerMetrics,
} from './instrumentation/metrics.ts';
import { registerSheddingMetrics } from './instrumentation/shedding-metrics.ts';
import { registerStreamMetrics } from './instrumentation/stream-metrics.ts';
import { registerWebhookMetrics } from './instrumentation/webhook-metrics.ts';
import type { Services } from './services.ts';
import type { AdmissionControl } from './shedding/admission.ts';

/** What keeps stats. They are read when they are asked for, and nothing is counted twice. */
export interface Metered {
  readonly deps: Deps;
  readonly services: Services;
  readonly http: RedStats;
  readonly admission: AdmissionControl;
}

/** Has `/metrics` print the stats of every part. */
export function registerMetrics(registry: Registry, { deps, services, http, admission }: Metered): void {
  registerHttpMetrics(registry, http);
  registerSheddingMetrics(
    registry,
    () => admission.stats(),
    () => deps.permits.stats(),
  );
  registerLedgerMetrics(registry, () => services.groupCommit.stats());
  registerDatabaseMetrics(registry, deps.connectionsMax);
  registerDependencyMetrics(registry, deps.dependencies);
  registerRelayMetrics(registry, services.relayStats);
  registerConsumerMetrics(registry, () => deps.events.consumer.stats());
  registerCacheMetrics(registry, deps.cache, services.caches);
  registerFileMetrics(registry, services.files.stats);
  registerStreamMetrics(registry, () => services.streams.stats());
  registerWebhookMetrics(registry, () => services.sendingStats());
}
