/** The settings that name the mail server. */
export interface SmtpSettings {
  readonly SMTP_URL: string;
  readonly SMTP_USER?: string | undefined;
  readonly SMTP_PASSWORD?: string | undefined;
  readonly SMTP_CA_FILE?: string | undefined;
}

/** How to reach and log in to the mail server. */
export interface SmtpAccess {
  readonly host: string;
  readonly port: number;
  /** Whether the connection starts with TLS. Otherwise it is upgraded with STARTTLS. */
  readonly startsWithTls: boolean;
  /** Sent only after TLS. Null for none. */
  readonly login: { readonly user: string; readonly password: string } | null;
  readonly caFile: string | undefined;
}

const SUBMISSION_PORT = 587;
const SUBMISSIONS_PORT = 465;

/** Reads the settings, which `config.ts` has checked. */
export function smtpAccess({ SMTP_URL, SMTP_USER, SMTP_PASSWORD, SMTP_CA_FILE }: SmtpSettings): SmtpAccess {
  const url = new URL(SMTP_URL);
  const startsWithTls = url.protocol === 'smtps:';
  const user = SMTP_USER ?? decodeURIComponent(url.username);
  const password = SMTP_PASSWORD ?? decodeURIComponent(url.password);
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? (startsWithTls ? SUBMISSIONS_PORT : SUBMISSION_PORT) : Number(url.port),
    startsWithTls,
    login: user === '' ? null : { user, password },
    caFile: SMTP_CA_FILE,
  };
}

/** Returns what may be shown of the mail server: no credentials. */
export function smtpAddress({ host, port, startsWithTls }: SmtpAccess): string {
  return `${startsWithTls ? 'smtps' : 'smtp'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
