import type { KafkaConfig } from 'kafkajs';
import { readCaFile } from '../../utils/ca-file.ts';
import { KAFKA_TLS } from './kafka-fault.ts';

/** Mechanisms of a login (SASL), as Kafka writes them. */
export type SaslMechanism = 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';

/** How to connect to the brokers. */
export interface KafkaAccess {
  /** As host:port. */
  readonly brokers: readonly string[];
  /** Encrypts the connections. The certificate of each broker must be for the host of its address. */
  readonly tls?: { readonly caFile?: string | undefined } | null;
  readonly login?: {
    readonly mechanism: SaslMechanism;
    readonly username: string;
    readonly password: string;
  } | null;
}

/** The options of a checked TLS connection. */
export interface KafkaTlsOptions {
  readonly rejectUnauthorized: true;
  /** Of the system by default. */
  readonly ca?: string;
}

/**
 * Returns the options of the TLS connections, or null if they are not encrypted. Throws an Error with a remedy if the
 * file of authorities cannot be used.
 */
export function tlsOptions({ tls }: KafkaAccess): KafkaTlsOptions | null {
  if (!tls) return null;
  if (tls.caFile === undefined) return { rejectUnauthorized: true };
  return { rejectUnauthorized: true, ca: readCaFile(tls.caFile, KAFKA_TLS.authority) };
}

/** Returns the options of the library for this access. */
export function accessOptions(access: KafkaAccess): Pick<KafkaConfig, 'brokers' | 'ssl' | 'sasl'> {
  const { brokers, login } = access;
  const tls = tlsOptions(access);
  return {
    brokers: [...brokers],
    ...(tls && { ssl: tls }),
    // The library chooses by the name in lower case, and adds to the object.
    ...(login && { sasl: { ...login, mechanism: login.mechanism.toLowerCase() as 'plain' } }),
  };
}
