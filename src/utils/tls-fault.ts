/** Where an operator fixes the TLS connection to a service. */
export interface TlsSettings {
  /** The setting with the address of the service. */
  readonly address: string;
  /** The setting that names the file of its certificate authority. */
  readonly authority: string;
}

const WRONG_NAME = 'ERR_TLS_CERT_ALTNAME_INVALID';
const WRONG_TIME = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID']);
// What OpenSSL and BoringSSL report of a chain that does not end at a known authority.
const UNTRUSTED =
  /^(?:UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT(?:_LOCALLY)?|(?:SELF_SIGNED|DEPTH_ZERO_SELF_SIGNED)_CERT(?:_IN_CHAIN)?|CERT_[A-Z_]+)$/;
const CAUSES_MAX = 8;

/**
 * Returns what an operator must do about a certificate that was not accepted; null for any other error. Retries cannot
 * fix it.
 */
export function tlsRemedy(error: unknown, { address, authority }: TlsSettings): string | null {
  const code = tlsCode(error);
  if (code === WRONG_NAME)
    return `Set ${address} to a host name of the certificate, or give the server a certificate for this one.`;
  if (WRONG_TIME.has(code)) return 'Renew the certificate of the server, and check the clock of this host.';
  if (UNTRUSTED.test(code))
    return `Name the authority that issued the certificate of the server in ${authority}.`;
  return null;
}

/** The code of the TLS error behind an error; an empty string if there is none. */
function tlsCode(error: unknown): string {
  let cause = error;
  for (let depth = 0; depth < CAUSES_MAX && cause instanceof Error; depth++) {
    const { code } = cause as { code?: unknown };
    if (typeof code === 'string' && (code === WRONG_NAME || WRONG_TIME.has(code) || UNTRUSTED.test(code)))
      return code;
    cause = cause.cause;
  }
  return '';
}
