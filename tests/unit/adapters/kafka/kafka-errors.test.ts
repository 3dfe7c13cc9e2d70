import { expect, test } from 'bun:test';
import { KafkaJSNumberOfRetriesExceeded, KafkaJSProtocolError } from 'kafkajs';
import {
  isFenced,
  isRefused,
  isUnavailable,
  kafkaErrorType,
} from '../../../../src/adapters/kafka/kafka-errors.ts';
import { AtlasError } from '../../../../src/errors.ts';

const protocol = (type: string, code: number) =>
  new KafkaJSProtocolError({ type, code, message: type } as never);

test('the broker’s name of an error is found inside the errors that the library wraps around it', () => {
  const wrapped = new KafkaJSNumberOfRetriesExceeded(protocol('INVALID_RECORD', 87), {
    retryCount: 3,
    retryTime: 10,
  });
  expect(kafkaErrorType(wrapped)).toBe('INVALID_RECORD');
  expect(isRefused(wrapped)).toBe(true);
  expect(kafkaErrorType(new Error('other'))).toBe('');
  expect(kafkaErrorType('text')).toBe('');
});

test('a code that is newer than the library is recognized by its number', () => {
  expect(isFenced(protocol('UNKNOWN', 90))).toBe(true);
  expect(isFenced(protocol('INVALID_PRODUCER_EPOCH', 47))).toBe(true);
});

test('only errors that are not responses show that the brokers are unavailable', () => {
  expect(isUnavailable(new Error('connect ECONNREFUSED'))).toBe(true);
  expect(isUnavailable(protocol('MESSAGE_TOO_LARGE', 10))).toBe(false);
  expect(isUnavailable(protocol('INVALID_PRODUCER_EPOCH', 47))).toBe(false);
  expect(isUnavailable(new AtlasError('dependency_unavailable', 'refused by its breaker'))).toBe(false);
});
