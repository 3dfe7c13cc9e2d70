import { AtlasError } from '../../errors.ts';
import { settingsFault } from '../../utils/settings-fault.ts';
import { type TlsSettings, tlsRemedy } from '../../utils/tls-fault.ts';
import { kafkaErrorType } from './kafka-errors.ts';

/** Where an operator fixes the TLS connections to Kafka. */
export const KAFKA_TLS: TlsSettings = { address: 'KAFKA_BROKERS', authority: 'KAFKA_CA_FILE' };

const LOGIN_FAILED = 'KafkaJSSASLAuthenticationError';
// Other failures of a login are lost connections. An invalid signature is one of a broker that knows no password.
const REJECTED_LOGIN = /invalid (?:username|credentials|server signature)/i;
const UNKNOWN_MECHANISM = /not supported by the server/;
const CAUSES_MAX = 8;

/**
 * Returns what an operator must do about an error of Kafka that retries cannot fix: a certificate or a login that is
 * rejected. Null for any other error.
 */
export function kafkaRemedy(error: unknown): string | null {
  const login = loginFailureIn(error);
  if (UNKNOWN_MECHANISM.test(login))
    return 'Set KAFKA_SASL_MECHANISM to one that the listener of KAFKA_BROKERS accepts.';
  if (REJECTED_LOGIN.test(login)) return 'Correct KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD.';
  if (kafkaErrorType(error) === 'ILLEGAL_SASL_STATE')
    return 'Unset KAFKA_SASL_MECHANISM, or name a listener that takes logins in KAFKA_BROKERS.';
  return tlsRemedy(error, KAFKA_TLS);
}

/** Returns why Kafka cannot be used with these settings, and what to do; null if it may only be unavailable. */
export function kafkaFault(error: unknown): string | null {
  return settingsFault('Kafka', error, kafkaRemedy(error));
}

/** Returns an error with what an operator must do, if only an operator can help, and else the error itself. */
export function explained(error: unknown): unknown {
  const remedy = kafkaRemedy(error);
  if (remedy === null) return error;
  const detail = 'Kafka cannot be used with these settings.';
  return new AtlasError('dependency_unavailable', detail, { cause: error, remedy });
}

/** The message of the failed login behind an error, or an empty string. */
function loginFailureIn(error: unknown): string {
  let cause = error;
  for (let depth = 0; depth < CAUSES_MAX && cause instanceof Error; depth++) {
    if (cause.name === LOGIN_FAILED) return cause.message;
    cause = cause.cause;
  }
  return '';
}
