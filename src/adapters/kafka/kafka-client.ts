import { createRequire } from 'node:module';
import { Kafka, logLevel } from 'kafkajs';

const CONNECT_MS_MAX = 2000;
const REQUEST_MS_MAX = 5000;
// A transaction may begin when the marks of the one before are written, after some milliseconds: so the first wait is
// short. What fails for longer is begun anew by its caller, who knows whether it still should be.
const RETRY = { retries: 7, initialRetryTime: 10, multiplier: 2, maxRetryTime: 500 };

/** The queue of requests of one connection, inside of the library. */
interface RequestQueue {
  readonly pending: readonly unknown[];
  readonly throttledUntil: number;
  throttleCheckTimeoutId: unknown;
  checkPendingRequests(): void;
  scheduleCheckPendingRequests(): void;
}

/** A client of the brokers. It connects when it is used; `onDebug` hears what the library has to say. */
export function createKafkaClient(
  brokers: readonly string[],
  onDebug: (text: string, facts: object) => void,
): Kafka {
  stopNegativeTimers();
  return new Kafka({
    clientId: 'atlas',
    brokers: [...brokers],
    connectionTimeout: CONNECT_MS_MAX,
    requestTimeout: REQUEST_MS_MAX,
    retry: RETRY,
    logLevel: logLevel.WARN,
    logCreator:
      () =>
      ({ label, log: { message, timestamp: _, logger: __, ...facts } }) =>
        onDebug(`kafkajs ${label}: ${message}`, facts),
  });
}

/**
 * After each answer, kafkajs 2.2.4 sets a timer for a time that has passed, of which Bun warns on the terminal. This is
 * the library's own function, without a timer where nothing waits.
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
