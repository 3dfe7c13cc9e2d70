import type { Deps } from '../deps.ts';
import { AtlasError } from '../errors.ts';
import type { Finding } from './doctor-report.ts';

const TIMEOUT_MS = 10_000;
const GUARANTEE = 'sent at least once; one that is repeated has the same Message-ID';

/** Examines whether mails can be sent: connects to the mail server and logs in, or checks the folder. */
export async function examineMail({ mailer, config }: Pick<Deps, 'mailer' | 'config'>): Promise<Finding> {
  const isFolder = mailer.mode === 'folder';
  const guarantee = isFolder ? 'nobody gets them: open the files, which the log names' : GUARANTEE;
  const row = (where: string) => ['mail', mailer.mode, where, guarantee] as const;
  try {
    const latencyMs = await mailer.check(AbortSignal.timeout(TIMEOUT_MS));
    if (!isFolder) return { row: row(`${mailer.where} (${latencyMs.toFixed(1)} ms)`) };
    const isForPeople = config.ENVIRONMENT !== 'development' && config.ENVIRONMENT !== 'test';
    return {
      row: row(mailer.where),
      notes: isForPeople ? ['Mails are only written to files. Set SMTP_URL and MAIL_FROM to send them.'] : [],
    };
  } catch (error) {
    return { row: row(mailer.where), problems: [problemOf(error)] };
  }
}

function problemOf(error: unknown): string {
  const { message, cause } = error as Error;
  const why = cause instanceof Error ? `${message} (${cause.message})` : message;
  const remedy = (error instanceof AtlasError && error.remedy) || 'Start it again, or check SMTP_URL.';
  return `Mails cannot be sent: ${why} ${remedy}`;
}
