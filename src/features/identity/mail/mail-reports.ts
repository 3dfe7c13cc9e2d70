import type { ReportFailure } from '../../../instrumentation/background-log.ts';
import type { Logger } from '../../../instrumentation/logger.ts';
import { maskAddress } from '../../../utils/mail-address.ts';
import type { MailReports } from './mail-sender.ts';

const IDS_MAX = 20;

/** Logs what a sender reports. */
export function mailReports(logger: Logger, reportFailure: ReportFailure): MailReports {
  return {
    failed: (error) => reportFailure(error, 'a mail could not be processed; retrying'),
    gaveUp: ({ id, organization, recipient, attempts, failure }) =>
      logger.warn(
        { mail: id, organization, recipient: maskAddress(recipient), attempts, failure },
        'a mail was given up',
      ),
    freed: (ids) =>
      logger.warn(
        { mails: ids.slice(0, IDS_MAX), count: ids.length },
        'the process that was sending mails died; they may arrive twice, with the same Message-ID',
      ),
  };
}
