import type { KafkaAccess } from './kafka-access.ts';
import { createKafkaClient } from './kafka-client.ts';
import { kafkaFault } from './kafka-fault.ts';

/**
 * Connects to each of the brokers and logs in, and resolves if one of them accepts it. Rejects with the error of one
 * that does not: with one that says what to do, if there is any. A broker that does not respond in time counts as
 * unavailable. Throws an Error with a remedy if the file of authorities cannot be used.
 */
export async function reachKafka(access: KafkaAccess, timeoutMs: number): Promise<void> {
  const attempts = await Promise.allSettled(
    access.brokers.map((broker) => reachBroker({ ...access, brokers: [broker] }, timeoutMs)),
  );
  const errors = attempts.flatMap((attempt) => (attempt.status === 'rejected' ? [attempt.reason] : []));
  if (errors.length < attempts.length) return;
  throw errors.find((error) => kafkaFault(error) !== null) ?? errors[0];
}

async function reachBroker(access: KafkaAccess, timeoutMs: number): Promise<void> {
  const admin = createKafkaClient(access, () => {}, { retry: { retries: 0 } }).admin();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`${access.brokers[0]} did not respond`)), timeoutMs);
  const connected = admin.connect();
  // It may fail later than the timeout.
  connected.catch(() => {});
  try {
    await Promise.race([connected, late.promise]);
  } finally {
    clearTimeout(timer);
    // Not awaited: it waits for responses that may never come.
    void admin.disconnect().catch(() => {});
  }
}
