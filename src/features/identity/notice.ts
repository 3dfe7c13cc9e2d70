/** To whom a mail goes, and where its links lead. */
export interface MailTo {
  readonly email: string;
  readonly origin: string;
}

const NOTICE_MS = 24 * 3_600_000;

/** Returns the mail that says what has happened to a user. It is worth sending for a day. */
export const notice = ({ email }: MailTo, subject: string, lines: readonly string[]) => ({
  recipient: email,
  organization: '',
  subject,
  text: `${lines.join('\n')}\n`,
  expiresAt: new Date(Date.now() + NOTICE_MS),
});

/** A mail to a person. */
export type Notice = ReturnType<typeof notice>;
