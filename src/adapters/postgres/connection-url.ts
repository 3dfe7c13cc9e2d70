/** A parameter of a URL that has no effect, why, and what to do instead. */
export interface IgnoredParameter {
  readonly name: string;
  readonly why: string;
  readonly remedy: string;
}

/** A URL of PostgreSQL as the driver understands it. */
export interface ConnectionUrl {
  readonly url: string;
  readonly ignored: readonly IgnoredParameter[];
}

type Reason = Omit<IgnoredParameter, 'name'>;

const POOL: Reason = {
  why: 'Atlas has its own pool',
  remedy: 'remove it, and set DATABASE_POOL_SIZE and DATABASE_MAX_OVERFLOW',
};
const TIMEOUT: Reason = {
  why: 'Atlas has its own timeouts',
  remedy: 'remove it, and set DATABASE_TIMEOUT',
};
const CERTIFICATE: Reason = {
  why: 'the driver reads no certificate files',
  remedy:
    'remove it; Bun trusts the authorities of NODE_EXTRA_CA_CERTS, and sslmode=verify-full checks the server',
};
const UNKNOWN_TO_DRIVER: Reason = { why: 'the driver does not know it', remedy: 'remove it' };

/** Parameters of libpq and of other drivers that the server would reject, as they are none of its settings. */
const IGNORED: Readonly<Record<string, Reason>> = {
  channel_binding: {
    why: 'the driver does not bind authentication to the TLS channel',
    remedy: 'remove it, and set sslmode=verify-full so that the server is authenticated',
  },
  pgbouncer: {
    why: 'Atlas finds out itself whether there is a pooler',
    remedy: 'remove it; the pooler must be in session mode',
  },
  connection_limit: POOL,
  pool_timeout: POOL,
  pool_size: POOL,
  max: POOL,
  connect_timeout: TIMEOUT,
  socket_timeout: TIMEOUT,
  statement_cache_size: UNKNOWN_TO_DRIVER,
  sslcert: CERTIFICATE,
  sslkey: CERTIFICATE,
  sslpassword: CERTIFICATE,
  sslcrl: CERTIFICATE,
  sslcrldir: CERTIFICATE,
  sslidentity: CERTIFICATE,
  sslaccept: CERTIFICATE,
  ...Object.fromEntries(
    [
      ...[
        'passfile',
        'service',
        'hostaddr',
        'require_auth',
        'requirepeer',
        'requiressl',
        'sslcompression',
        'sslsni',
      ],
      ...['ssl_min_protocol_version', 'ssl_max_protocol_version', 'gssencmode', 'gsslib', 'krbsrvname'],
      ...['keepalives', 'keepalives_idle', 'keepalives_interval', 'keepalives_count', 'tcp_user_timeout'],
      ...['load_balance_hosts', 'fallback_application_name', 'replication', 'uselibpqcompat', 'sslcertmode'],
    ].map((name) => [name, UNKNOWN_TO_DRIVER]),
  ),
};

/** What the driver does with each value: `verify-ca` has no counterpart, so the name is checked as well. */
const SSL_MODES: Readonly<Record<string, string>> = { 'verify-ca': 'verify-full' };

/**
 * Reads a URL as people copy it from other tools. `schema` becomes `search_path`, a percent sign that encodes nothing
 * stands for itself, and what the driver cannot honor is left out and listed.
 *
 * @example readConnectionUrl('postgres://a:50%@db/x?pgbouncer=true').url; // 'postgres://a:50%25@db/x'
 */
export function readConnectionUrl(text: string): ConnectionUrl {
  const [base = '', query] = splitOnce(text.replace(/%(?![0-9a-fA-F]{2})/g, '%25'), '?');
  if (query === undefined) return { url: base, ignored: [] };
  const ignored: IgnoredParameter[] = [];
  const kept = query.split('&').flatMap((parameter) => {
    const [name = '', value = ''] = splitOnce(parameter, '=');
    const known = name.toLowerCase();
    // A path to a file; `system` is what the driver does anyway.
    const reason =
      known === 'sslrootcert' && value !== 'system'
        ? CERTIFICATE
        : Object.hasOwn(IGNORED, known)
          ? IGNORED[known]
          : undefined;
    if (reason !== undefined) {
      ignored.push({ name, ...reason });
      return [];
    }
    if (known === 'schema') return [`search_path=${encodeURIComponent(quoted(decodeURIComponent(value)))}`];
    if (known === 'sslmode') return [`sslmode=${SSL_MODES[value] ?? value}`];
    return parameter === '' ? [] : [parameter];
  });
  return { url: kept.length === 0 ? base : `${base}?${kept.join('&')}`, ignored };
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + separator.length)];
}

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
