import type { Registry } from 'prom-client';
import type { IdentityPorts } from './feature.ts';
import { type MailContent, mailContext } from './mail/domain.ts';
import { registerMailMetrics } from './mail/mail-metrics.ts';
import { mailReports } from './mail/mail-reports.ts';
import { MailSender } from './mail/mail-sender.ts';
import { createMailRepository } from './mail/repository.ts';
import { createEnqueueMail } from './mail/service.ts';
/** Builds the outbox of mails, and what sends them. */
export function createMails({
  database,
  incarnation,
  mailer,
  sealing,
  logger,
  reportFailure,
}: IdentityPorts) {
  const repository = createMailRepository(database, incarnation);
  const refusals = { recipient: 0, organization: 0, pending: 0 };
  const sender = new MailSender({
    repository,
    mailer,
    open: (id, record) => JSON.parse(sealing.open(record, mailContext(id)).toString()) as MailContent,
    reports: mailReports(logger, reportFailure),
  });
  return {
    enqueue: createEnqueueMail(repository, sealing, refusals),
    sender,
    forget: repository.forget,
    metrics: (registry: Registry) => registerMailMetrics(registry, () => sender.stats(), refusals),
  };
}
