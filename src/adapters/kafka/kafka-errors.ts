import { AtlasError } from '../../errors.ts';

// Refused for what it is, and would be again. Everything else passes, or is mended elsewhere.
const REFUSALS = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE', 'INVALID_RECORD']);
// The clock of this host or of the broker is wrong. No event is to blame, and all of them can wait until it is right.
const WRONG_CLOCK = 'INVALID_TIMESTAMP';
const FENCED = new Set(['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED', 'INVALID_PRODUCER_ID_MAPPING']);
// How the library calls an error code that is younger than itself; 90 is PRODUCER_FENCED.
const FENCED_CODE = 90;
const CAUSES_MAX = 8;

/** Kafka's own name of the error behind what the library throws, or an empty string. */
export function kafkaErrorType(error: unknown): string {
  let cause = error;
  for (let depth = 0; depth < CAUSES_MAX && cause instanceof Error; depth++) {
    if ('code' in cause && cause.code === FENCED_CODE) return 'PRODUCER_FENCED';
    if ('type' in cause && typeof cause.type === 'string') return cause.type;
    cause = cause.cause;
  }
  return '';
}

/** Whether the broker refuses what was sent for what it is. */
export function isRefused(error: unknown): boolean {
  return REFUSALS.has(kafkaErrorType(error));
}

/** Whether somebody else opened the publisher since. */
export function isFenced(error: unknown): boolean {
  return FENCED.has(kafkaErrorType(error));
}

/** Whether the error shows that the brokers are away, rather than that they answered something. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof AtlasError || isRefused(error) || isFenced(error)) return false;
  return kafkaErrorType(error) !== WRONG_CLOCK;
}
