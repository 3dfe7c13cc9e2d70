import { createRequire } from 'node:module';
import { Kafka, logLevel, type RetryOptions } from 'kafkajs';
import { accessOptions, type KafkaAccess } from './kafka-access.ts';

const CONNECT_MS_MAX = 2000;
const REQUEST_MS_MAX = 5000;
// A transaction can begin some milliseconds after the previous one, when its markers are written, so the first delay is
// short. Callers retry longer failures, because they know whether the work is still needed.
const RETRY = { retries: 7, initialRetryTime: 10, multiplier: 2, maxRetryTime: 500 };

/** The library's internal queue of the requests of one connection. */
interface RequestQueue {
  readonly pending: readonly unknown[];
  readonly throttledUntil: number;
  throttleCheckTimeoutId: unknown;
  checkPendingRequests(): void;
  scheduleCheckPendingRequests(): void;
}

/** How a client differs from the usual one. */
export interface KafkaClientOptions {
  /** Shown by Kafka's tools, also for the members of groups. */
  readonly clientId?: string;
  readonly retry?: RetryOptions;
}

/**
 * Creates a client of the brokers, which connects on first use. `onDebug` gets the log messages of the library. Throws
 * an Error with a remedy if the file of authorities cannot be used.
 */
export function createKafkaClient(
  access: KafkaAccess,
  onDebug: (text: string, facts: object) => void,
  { clientId = 'atlas', retry = RETRY }: KafkaClientOptions = {},
): Kafka {
  stopNegativeTimers();
  return new Kafka({
    clientId,
    ...accessOptions(access),
    connectionTimeout: CONNECT_MS_MAX,
    requestTimeout: REQUEST_MS_MAX,
    authenticationTimeout: REQUEST_MS_MAX,
    retry,
    logLevel: logLevel.WARN,
    logCreator:
      () =>
      ({ label, log: { message, timestamp: _, logger: __, ...facts } }) =>
        onDebug(`kafkajs ${label}: ${message}`, facts),
  });
}

/**
 * After each response, kafkajs 2.2.4 sets a timer in the past, which makes Bun print a warning. This replaces the
 * library's function with one that sets no timer when nothing is queued.
 */
function stopNegativeTimers(): void {
  const library = createRequire(import.meta.url)('kafkajs/src/network/requestQueue');
  (library.prototype as RequestQueue).scheduleCheckPendingRequests = function (this: RequestQueue) {
    if (this.pending.length === 0 || this.throttleCheckTimeoutId) return;
    const waitMs = Math.max(1, this.throttledUntil - Date.now());
    this.throttleCheckTimeoutId = setTimeout(() => {
      this.throttleCheckTimeoutId = null;
      this.checkPendingRequests();
    }, waitMs);
  };
}
