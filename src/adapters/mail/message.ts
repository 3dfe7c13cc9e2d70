import type { SendMailOptions } from 'nodemailer';
import type { MailSender } from '../../utils/mail-address.ts';
import type { Mail } from './mailer.ts';

/** Returns a mail as nodemailer takes it. The same mail is always the same bytes. */
export function messageOf({ id, recipient, subject, text, createdAt }: Mail, from: MailSender) {
  return {
    // Objects are not parsed, so nothing in them can add another address.
    from: { name: from.name, address: from.address },
    to: { name: '', address: recipient },
    envelope: { from: from.address, to: [recipient] },
    subject,
    text,
    date: createdAt,
    messageId: `<${id}@${from.address.slice(from.address.lastIndexOf('@') + 1)}>`,
    // So that nobody's out-of-office reply comes back (RFC 3834).
    headers: { 'Auto-Submitted': 'auto-generated' },
    xMailer: false,
    disableFileAccess: true,
    disableUrlAccess: true,
  } satisfies SendMailOptions;
}
