import type { Message } from 'kafkajs';
import { type AtlasEvent, toCloudEvent } from '../../utils/event.ts';

/** CloudEvents in structured mode (Kafka protocol binding for CloudEvents 1.0). */
const HEADERS = { 'content-type': 'application/cloudevents+json' };
// The most that the record format adds: lengths, timestamps, attributes and the header.
const RECORD_OVERHEAD_BYTES = 160;

/** An encoded message. `sizeBytes` is an upper bound of its size in a record batch. */
export interface EncodedEvent {
  readonly message: Message;
  readonly sizeBytes: number;
}

/**
 * Encodes an event. Its key determines the partition, so events of one key stay in order. The owner is a CloudEvents
 * extension for Atlas itself, in the body because a header costs as much as the rest of the encoding.
 */
export function toMessage(event: AtlasEvent): EncodedEvent {
  const value = Buffer.from(JSON.stringify({ ...toCloudEvent(event), owner: event.owner }));
  return {
    message: { key: event.key, value, headers: HEADERS },
    // A UTF-16 code unit of the key has at most three bytes in UTF-8.
    sizeBytes: value.length + 3 * event.key.length + RECORD_OVERHEAD_BYTES,
  };
}

/** Decodes a message. Returns null if it is not an event of Atlas. */
export function fromMessage(message: {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}): AtlasEvent | null {
  if (message.value === null || message.key === null) return null;
  let decoded: Record<string, unknown>;
  try {
    decoded = JSON.parse(message.value.toString());
  } catch {
    return null;
  }
  if (typeof decoded !== 'object' || decoded === null) return null;
  const { source, type, subject, time, sequence, owner, data } = decoded;
  const isValid =
    source === 'atlas' &&
    typeof type === 'string' &&
    typeof time === 'string' &&
    typeof owner === 'string' &&
    owner !== '' &&
    subject === message.key.toString() &&
    typeof sequence === 'string' &&
    /^\d{1,16}$/.test(sequence) &&
    typeof data === 'object' &&
    data !== null;
  if (!isValid) return null;
  return {
    owner,
    type,
    key: subject,
    sequence: Number(sequence),
    occurredAt: time,
    data: data as Readonly<Record<string, unknown>>,
  };
}
