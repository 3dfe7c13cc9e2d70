import { expect, test } from 'bun:test';
import { explained, kafkaFault, kafkaRemedy } from '../../../../src/adapters/kafka/kafka-fault.ts';

/** An error as the library throws it. */
function errorOf(message: string, more: { name?: string; type?: string; code?: string } = {}): Error {
  const cause = Object.assign(new Error(message), more);
  return Object.assign(new Error(message, { cause }), { name: 'KafkaJSNumberOfRetriesExceeded' });
}
const login = (message: string) => errorOf(message, { name: 'KafkaJSSASLAuthenticationError' });

test('a login that the broker rejects is for an operator, one that was cut off is not', () => {
  const failed = 'SASL PLAIN authentication failed';
  expect(kafkaRemedy(login(`${failed}: Authentication failed: Invalid username or password`))).toContain(
    'Correct KAFKA_SASL_USERNAME',
  );
  expect(kafkaRemedy(login(`${failed}: Connection closed by the server`))).toBeNull();
  expect(kafkaRemedy(login(`${failed}: Request SaslAuthenticate timed out`))).toBeNull();
  expect(kafkaRemedy(login('SASL PLAIN mechanism is not supported by the server'))).toContain(
    'Set KAFKA_SASL_MECHANISM',
  );
});

test('what an operator must do about it is in the error that background work reports', () => {
  const error = login(
    'SASL SCRAM SHA512 authentication failed: due to invalid credentials with SASL mechanism',
  );
  expect(explained(error)).toMatchObject({
    code: 'dependency_unavailable',
    cause: error,
    remedy: 'Correct KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD.',
  });
  const timeout = errorOf('Connection timeout');
  expect(explained(timeout)).toBe(timeout);
});

test('a broker that does not respond is not', () => {
  for (const error of [errorOf('Connection timeout'), errorOf('refused', { code: 'ECONNREFUSED' }), null])
    expect([kafkaRemedy(error), kafkaFault(error)]).toEqual([null, null]);
});
