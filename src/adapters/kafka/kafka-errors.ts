import { AtlasError } from '../../errors.ts';

// Permanent: the same message would be rejected again. All other errors are transient, or fixed elsewhere.
const REJECTIONS = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE', 'INVALID_RECORD']);
// The clock of this host or of the broker is wrong. No event is at fault, and all can wait until the clock is right.
const WRONG_CLOCK = 'INVALID_TIMESTAMP';
const FENCED = new Set(['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED', 'INVALID_PRODUCER_ID_MAPPING']);
// PRODUCER_FENCED, which is newer than the library and therefore has no type there.
const FENCED_CODE = 90;
const CAUSES_MAX = 8;

/** Returns Kafka's name of the error behind what the library threw, or an empty string. */
export function kafkaErrorType(error: unknown): string {
  let cause = error;
  for (let depth = 0; depth < CAUSES_MAX && cause instanceof Error; depth++) {
    if ('code' in cause && cause.code === FENCED_CODE) return 'PRODUCER_FENCED';
    if ('type' in cause && typeof cause.type === 'string') return cause.type;
    cause = cause.cause;
  }
  return '';
}

/** Whether the broker rejects the message itself, so that a retry would fail too. */
export function isRefused(error: unknown): boolean {
  return REJECTIONS.has(kafkaErrorType(error));
}

/** Whether another producer has taken over the transactional id. */
export function isFenced(error: unknown): boolean {
  return FENCED.has(kafkaErrorType(error));
}

/** Whether the error shows that the brokers are unavailable, rather than being a response of theirs. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof AtlasError || isRefused(error) || isFenced(error)) return false;
  return kafkaErrorType(error) !== WRONG_CLOCK;
}
