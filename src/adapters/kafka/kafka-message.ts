import type { Message } from 'kafkajs';
import { type AtlasEvent, toCloudEvent } from '../../utils/event.ts';

/** CloudEvents in structured mode (Kafka protocol binding for CloudEvents 1.0). */
const HEADERS = { 'content-type': 'application/cloudevents+json' };
// What the record format adds at most: lengths, timestamps, attributes and the header.
const RECORD_OVERHEAD_BYTES = 160;

/** A message as it is sent, with its size in a batch of records, at most. */
export interface EncodedEvent {
  readonly message: Message;
  readonly sizeBytes: number;
}

/**
 * The event as a message: its key decides the partition, so the events of a key stay in order. The owner travels as an
 * extension, for consumers that are Atlas. Each header would cost as much as all the rest of the encoding.
 */
export function toMessage(event: AtlasEvent): EncodedEvent {
  const value = Buffer.from(JSON.stringify({ ...toCloudEvent(event), owner: event.owner }));
  return {
    message: { key: event.key, value, headers: HEADERS },
    // A letter of the key has three bytes at most.
    sizeBytes: value.length + 3 * event.key.length + RECORD_OVERHEAD_BYTES,
  };
}

/** The event of a message, or null for what Atlas has not sent. */
export function fromMessage(message: {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}): AtlasEvent | null {
  if (message.value === null || message.key === null) return null;
  let found: Record<string, unknown>;
  try {
    found = JSON.parse(message.value.toString());
  } catch {
    return null;
  }
  if (typeof found !== 'object' || found === null) return null;
  const { source, type, subject, time, sequence, owner, data } = found;
  const isOurs =
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
  if (!isOurs) return null;
  return {
    owner,
    type,
    key: subject,
    sequence: Number(sequence),
    occurredAt: time,
    data: data as Readonly<Record<string, unknown>>,
  };
}
