import { settingsFault } from '../../utils/settings-fault.ts';
import { type TlsSettings, tlsRemedy } from '../../utils/tls-fault.ts';

/** Where an operator fixes the TLS connection to Redis. */
export const REDIS_TLS: TlsSettings = { address: 'REDIS_URL', authority: 'REDIS_CA_FILE' };

// Also `ERR AUTH <password> called without any password configured`, of a Redis without a password.
const REJECTED_LOGIN = /^(?:WRONGPASS|NOAUTH|ERR (?:AUTH|invalid password))/;
const MISSING_PERMISSION = /^NOPERM/;

/**
 * Returns what an operator must do about an error of Redis that retries cannot fix: a certificate or a login that is
 * rejected, a permission that is missing. Null for any other error.
 */
export function redisRemedy(error: unknown): string | null {
  const text = error instanceof Error ? error.message : '';
  if (REJECTED_LOGIN.test(text)) return 'Correct the user and the password in REDIS_URL.';
  if (MISSING_PERMISSION.test(text))
    return 'Allow the user of REDIS_URL what is refused: ACL LIST shows its rules.';
  return tlsRemedy(error, REDIS_TLS);
}

/** Returns why Redis cannot be used with these settings, and what to do; null if it may only be unavailable. */
export function redisFault(error: unknown): string | null {
  return settingsFault('Redis', error, redisRemedy(error));
}
