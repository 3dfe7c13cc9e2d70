import { describe, expect, test } from 'bun:test';
import { fromMessage, toMessage } from '../../../../src/adapters/kafka/kafka-message.ts';
import type { AtlasEvent } from '../../../../src/utils/event.ts';

const event: AtlasEvent = {
  owner: 'ann',
  type: 'account.debited.v1',
  key: 'key',
  sequence: 7,
  occurredAt: '2026-01-01T00:00:00.000Z',
  data: { amount: 12, reference: 'Grüße' },
};
const received = (value: string | null, key: string | null = 'key') => ({
  key: key === null ? null : Buffer.from(key),
  value: value === null ? null : Buffer.from(value),
});

describe('an event as a message', () => {
  test('is a CloudEvent in structured mode, keyed by its subject', () => {
    const { message } = toMessage(event);
    expect(message.key).toBe('key');
    expect(message.headers).toEqual({ 'content-type': 'application/cloudevents+json' });
    expect(JSON.parse(String(message.value))).toMatchObject({
      specversion: '1.0',
      id: 'key:7',
      type: 'account.debited.v1',
      sequence: '7',
      owner: 'ann',
    });
  });

  test('decodes to the event that was encoded', () => {
    expect(fromMessage(received(String(toMessage(event).message.value)))).toEqual(event);
  });

  test('counts bytes, not characters', () => {
    const { message, sizeBytes } = toMessage(event);
    expect(sizeBytes).toBeGreaterThan((message.value as Buffer).length + 'key'.length);
    expect(toMessage({ ...event, data: { text: 'ü'.repeat(1000) } }).sizeBytes).toBeGreaterThan(2000);
  });

  test.each([
    ['text', 'not JSON'],
    ['null', 'null'],
    ['an array', '[]'],
    [
      'an event of another source',
      JSON.stringify({ ...JSON.parse(String(toMessage(event).message.value)), source: 'x' }),
    ],
    [
      'one without an owner',
      JSON.stringify({ ...JSON.parse(String(toMessage(event).message.value)), owner: '' }),
    ],
    [
      'one whose sequence is not a number',
      JSON.stringify({ ...JSON.parse(String(toMessage(event).message.value)), sequence: '-1' }),
    ],
    [
      'one without data',
      JSON.stringify({ ...JSON.parse(String(toMessage(event).message.value)), data: null }),
    ],
  ])('is not decoded from %s', (_, value) => {
    expect(fromMessage(received(value))).toBeNull();
  });

  test('is not decoded from a message under another key, nor from one without a key or value', () => {
    const value = String(toMessage(event).message.value);
    expect(fromMessage(received(value, 'other'))).toBeNull();
    expect(fromMessage(received(value, null))).toBeNull();
    expect(fromMessage(received(null))).toBeNull();
  });
});
