import { parseSender } from '../../utils/mail-address.ts';
import { folderMailer } from './folder-mailer.ts';
import type { Mailer } from './mailer.ts';
import { type SmtpSettings, smtpAccess } from './smtp-access.ts';
import { smtpMailer } from './smtp-mailer.ts';

/** The settings that mails depend on. */
export interface MailSettings extends Omit<SmtpSettings, 'SMTP_URL'> {
  readonly SMTP_URL?: string | undefined;
  readonly MAIL_FROM?: string | undefined;
  readonly ATLAS_DATA_DIR: string;
  readonly CIRCUIT_BREAKER_FAILURE_THRESHOLD: number;
  readonly CIRCUIT_BREAKER_RECOVERY_TIMEOUT: number;
}

const DEFAULT_SENDER = 'Atlas <atlas@localhost>';

/**
 * Opens the mail server if one is configured, otherwise a folder, whose mails `onWritten` reports. Connects on first use.
 * Throws an Error with a remedy if SMTP_CA_FILE cannot be used.
 */
export function openMailer(settings: MailSettings, onWritten: (text: string) => void): Mailer {
  const { SMTP_URL, MAIL_FROM = DEFAULT_SENDER, ATLAS_DATA_DIR } = settings;
  const from = parseSender(MAIL_FROM);
  if (from === null) throw new Error('MAIL_FROM is not one mail address.');
  if (SMTP_URL === undefined) return folderMailer({ dataDir: ATLAS_DATA_DIR, from, onWritten });
  return smtpMailer({
    access: smtpAccess({ ...settings, SMTP_URL }),
    from,
    failureThreshold: settings.CIRCUIT_BREAKER_FAILURE_THRESHOLD,
    recoveryTimeoutMs: settings.CIRCUIT_BREAKER_RECOVERY_TIMEOUT * 1000,
  });
}
