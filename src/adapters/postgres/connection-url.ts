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
  why: 'Atlas logs in with a password, not with a certificate, and reads no revocation lists',
  remedy: 'remove it; sslrootcert names the authority of the server, and sslmode=verify-full checks it',
};
const UNCHECKED: Reason = {
  why: 'this sslmode does not check the server',
  remedy: 'set sslmode=verify-full, or remove it',
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

/** Each value of `sslmode`, or of `ssl` in other drivers. `verify-ca` has no counterpart, so the name is checked too. */
const SSL_MODES: Readonly<Record<string, string>> = {
  disable: 'disable',
  allow: 'allow',
  prefer: 'prefer',
  require: 'require',
  'verify-ca': 'verify-full',
  'verify-full': 'verify-full',
  true: 'verify-full',
  false: 'disable',
};
const UNCHECKED_MODES = new Set(['disable', 'allow', 'prefer']);
const TLS = ['sslmode', 'ssl', 'sslrootcert'];

/**
 * Reads a URL as people copy it from other tools. `schema` becomes `search_path`, a percent sign that encodes nothing
 * stands for itself, and what Atlas cannot honor is left out and listed. Throws an Error with a remedy if the URL
 * demands TLS in a way that is unknown. The result of a result is the same.
 *
 * @example readConnectionUrl('postgres://a:50%@db/x?pgbouncer=true').url; // 'postgres://a:50%25@db/x'
 */
export function readConnectionUrl(text: string): ConnectionUrl {
  const [base = '', query] = splitOnce(text.replace(/%(?![0-9a-fA-F]{2})/g, '%25'), '?');
  if (query === undefined) return { url: base, ignored: [] };
  const ignored: IgnoredParameter[] = [];
  const given = new Map<string, string>();
  const kept = query.split('&').flatMap((parameter) => {
    const [name = '', value = ''] = splitOnce(parameter, '=');
    const known = name.toLowerCase();
    if (TLS.includes(known)) {
      given.set(known, decodeURIComponent(value));
      return [];
    }
    if (Object.hasOwn(IGNORED, known)) {
      ignored.push({ name, ...IGNORED[known]! });
      return [];
    }
    if (known === 'schema') return [`search_path=${encodeURIComponent(quoted(decodeURIComponent(value)))}`];
    return parameter === '' ? [] : [parameter];
  });
  const parameters = [...kept, ...tlsParameters(given, ignored)];
  return { url: parameters.length === 0 ? base : `${base}?${parameters.join('&')}`, ignored };
}

/** Returns how the connection is encrypted, and which authority the server must have its certificate from. */
function tlsParameters(given: ReadonlyMap<string, string>, ignored: IgnoredParameter[]): string[] {
  const root = given.get('sslrootcert');
  const written = given.get('sslmode') ?? given.get('ssl');
  // Who names an authority wants the server checked, as with `sslrootcert=system` in libpq.
  const mode = written === undefined && root !== undefined ? 'verify-full' : modeOf(written);
  if (mode === undefined) return [];
  if (root === undefined) return [`sslmode=${mode}`];
  if (UNCHECKED_MODES.has(mode)) {
    ignored.push({ name: 'sslrootcert', ...UNCHECKED });
    return [`sslmode=${mode}`];
  }
  // The driver trusts the authorities of the system unless another one is named.
  if (root === 'system') return ['sslmode=verify-full'];
  return [`sslmode=${mode}`, `sslrootcert=${encodeURIComponent(root)}`];
}

function modeOf(written: string | undefined): string | undefined {
  if (written === undefined || Object.hasOwn(SSL_MODES, written)) return SSL_MODES[written ?? ''];
  throw new Error(
    `DATABASE_URL has an unknown sslmode.\n  why:  ${JSON.stringify(written)} is none of disable, allow, prefer, require, verify-ca, verify-full\n  do:   set sslmode=verify-full, with sslrootcert=FILE if its authority is not one of the system`,
  );
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + separator.length)];
}

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
