import type { Registry } from 'prom-client';
import { type Aggregator, registerStats } from '../../../instrumentation/register-stats.ts';
import type { MailBacklog } from './domain.ts';
import type { MailRefusals } from './service.ts';

/** Counters of the mail sender since this process started, and its backlog. */
export interface MailStats extends MailBacklog {
  /** Attempts by outcome: `sent`, or the failure. */
  readonly attempts: ReadonlyMap<string, number>;
  /** Mails that will not be sent any more, by reason. */
  readonly givenUp: ReadonlyMap<string, number>;
  /** Mails taken over from a process that died. They may have been sent before. */
  readonly freed: number;
}

/** Metrics of mails. Every host sees the same backlog, so backlog gauges are not summed. */
export function registerMailMetrics(
  registry: Registry,
  read: () => MailStats,
  refusals: Readonly<MailRefusals>,
): void {
  const gauge = (name: string, help: string, value: (stats: MailStats) => number) => {
    const aggregator: Aggregator = 'max';
    registerStats(registry, 'gauge', name, help, () => [{ labels: {}, value: value(read()) }], aggregator);
  };
  const counter = (
    name: string,
    help: string,
    label: string,
    entries: () => Iterable<readonly [string, number]>,
  ) =>
    registerStats(registry, 'counter', name, help, () =>
      Array.from(entries(), ([key, value]) => ({ labels: { [label]: key }, value })),
    );

  counter(
    'atlas_mail_attempts_total',
    'Attempts to send a mail, by outcome',
    'outcome',
    () => read().attempts,
  );
  counter(
    'atlas_mails_given_up_total',
    'Mails that were not sent, by reason',
    'reason',
    () => read().givenUp,
  );
  counter('atlas_mails_refused_total', 'Mails that were not accepted, by limit', 'limit', () =>
    Object.entries(refusals),
  );
  registerStats(
    registry,
    'counter',
    'atlas_mails_freed_total',
    'Mails freed because their process died; some may be sent twice',
    () => [{ labels: {}, value: read().freed }],
  );
  gauge('atlas_mails_pending', 'Mails that are neither sent nor given up', (stats) => stats.pending);
  gauge('atlas_mails_due', 'Mails due but not started', (stats) => stats.due);
  gauge('atlas_mail_due_age_seconds', 'Age of the oldest due mail', (stats) => stats.dueAgeSeconds);
}
