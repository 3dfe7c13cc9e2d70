import { readCaFile } from '../../utils/ca-file.ts';
import type { TlsSettings } from '../../utils/tls-fault.ts';

const ROOT = 'sslrootcert';

/** Where an operator fixes the TLS connection to PostgreSQL. */
export const POSTGRES_TLS: TlsSettings = {
  address: 'DATABASE_URL',
  authority: 'sslrootcert of DATABASE_URL',
};

/** The TLS options that the driver does not read from a URL. */
export interface ConnectionTls {
  readonly ssl?: { readonly ca: string; readonly checkServerIdentity?: () => undefined };
}

/**
 * Splits a URL of `readConnectionUrl` into what the driver understands and the certificate authorities that it names.
 * The driver itself honors `sslmode`, trusts the authorities of the system, and uses the options for its cancel requests
 * too. Throws an Error with a remedy if the file cannot be used.
 */
export function connectionTls(url: string): { readonly url: string; readonly tls: ConnectionTls } {
  const [base = '', query = ''] = url.split('?', 2);
  const parameters = query === '' ? [] : query.split('&');
  const named = parameters.find((part) => part.startsWith(`${ROOT}=`));
  if (named === undefined) return { url, tls: {} };
  const left = parameters.filter((part) => part !== named);
  const ca = readCaFile(decodeURIComponent(named.slice(ROOT.length + 1)), POSTGRES_TLS.authority);
  // As in libpq, `require` with an authority checks who issued the certificate, but not its name.
  const isNameChecked = !left.includes('sslmode=require');
  const ssl = isNameChecked ? { ca } : { ca, checkServerIdentity: () => undefined };
  return { url: left.length === 0 ? base : `${base}?${left.join('&')}`, tls: { ssl } };
}
