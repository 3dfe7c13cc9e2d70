import type { EventLog } from '../../adapters/event-log/event-log.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import type { Incarnation } from '../../adapters/postgres/incarnation.ts';
import type { RouteTable } from '../../http/route.ts';
import type { ReportFailure } from '../../instrumentation/background-log.ts';
import type { Logger } from '../../instrumentation/logger.ts';
import type { Lifecycle } from '../../utils/lifecycle.ts';
import type { Feature, FeatureDeclaration, SettingValues } from '../feature.ts';
import { registerConsumerMetrics } from './consumer-metrics.ts';
import { createEventRepository } from './log/repository.ts';
import { mountEvents } from './log/router.ts';
import { createEventService } from './log/service.ts';
import { registerStreamMetrics } from './log/stream-metrics.ts';
import { EventStreams } from './log/streams.ts';
import { eventProblems } from './problems.ts';
import { Relay } from './relay/relay.ts';
import { registerRelayMetrics } from './relay/relay-metrics.ts';
import { createRelayRepository } from './relay/repository.ts';
import { createRelayService } from './relay/service.ts';
import { createRetentionRepository } from './retention/repository.ts';
import { EventRetention } from './retention/retention.ts';
import { registerRetentionMetrics } from './retention/retention-metrics.ts';
import { eventSettings } from './settings.ts';

// Per worker, and per owner on that worker. An open stream costs next to nothing, and streams share their reads.
const STREAMS_MAX = 1000;
const STREAMS_OF_OWNER_MAX = 100;
// Half of the listener's idle timeout if HTTP_TIMEOUT is small, so that no quiet stream is cut.
const HEARTBEAT_MS_MAX = 15_000;
const HEARTBEAT_MS_MIN = 5_000;
// Commands report the end of the log as unknown after this long.
const ENDS_TIMEOUT_MS = 3000;

/** The event log as callers read it, and the relay that fills it from the outbox. */
export const events = {
  tags: ['Events'],
  scopes: { 'events:read': 'Read and follow events.' },
  problems: eventProblems,
  eventTypes: {},
  settings: eventSettings,
} as const satisfies FeatureDeclaration;

/** Dependencies of events. */
export interface EventPorts {
  readonly database: Database;
  /** Holds the lease of the relay. */
  readonly incarnation: Incarnation;
  readonly log: EventLog;
  readonly lifecycle: Lifecycle;
  readonly logger: Logger;
  readonly reportFailure: ReportFailure;
  readonly isKeyUsable: (keyId: string, signal: AbortSignal) => Promise<boolean>;
  readonly httpTimeoutSeconds: number;
  readonly settings: SettingValues<typeof eventSettings>;
  /** Types in the log. */
  readonly types: readonly [string, ...string[]];
  /** Identifies the relay to operators; unique among all processes. */
  readonly relayHolder: string;
}

export function createEvents(ports: EventPorts) {
  const { database, log, lifecycle, logger, isKeyUsable, httpTimeoutSeconds, types, relayHolder } = ports;
  const relayRepository = createRelayRepository(database, ports.incarnation);
  const relay = new Relay({
    repository: relayRepository,
    publisher: log.publisher,
    holder: relayHolder,
    logger,
    onMoved: log.relayed,
  });
  const repository = createEventRepository(database);
  const streams = new EventStreams({
    repository,
    isKeyUsable,
    lifecycle,
    onFailure: (err) => ports.reportFailure(err, 'event streams cannot read from PostgreSQL; retrying'),
    heartbeatMs: Math.min(HEARTBEAT_MS_MAX, HEARTBEAT_MS_MIN + httpTimeoutSeconds * 500),
    streamsMax: STREAMS_MAX,
    streamsOfOwnerMax: STREAMS_OF_OWNER_MAX,
  });
  const service = createEventService(repository, streams);
  const retentionDays = ports.settings.EVENTS_RETENTION_DAYS;
  const retention = new EventRetention({
    repository: createRetentionRepository(database),
    days: retentionDays,
    logger,
  });
  return {
    streams,
    lastExpired: repository.lastExpired,
    isKeyUsed: repository.isKeyUsed,
    relay: createRelayService(relayRepository, log.ends, ENDS_TIMEOUT_MS, retentionDays),
    /** Makes the relay check the outbox now. */
    wakeRelay: () => relay.wake(),
    mount: (routes: RouteTable) => mountEvents(routes, service, types),
    metrics(registry) {
      registerRelayMetrics(registry, () => relay.stats());
      registerConsumerMetrics(registry, () => log.consumer.stats());
      registerStreamMetrics(registry, () => streams.stats());
      registerRetentionMetrics(registry, () => retention.stats());
    },
    loops: [relay.loop],
    jobs: [{ name: 'delete expired events', by: 'one', everyMs: 60_000, run: () => retention.run() }],
  } satisfies Feature & Record<string, unknown>;
}
