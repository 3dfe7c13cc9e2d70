import { AtlasError } from '../../errors.ts';
import { BulkheadFull } from '../../resilience/bulkhead.ts';
import { databaseErrorCode, mapDatabaseError } from './postgres.ts';

const RETRY_AFTER_SECONDS = 1;

/** Returns what callers get for a call that the guards of PostgreSQL refused: a full queue, or an open breaker. */
export function refusalError(cause: unknown): AtlasError {
  const extras = { cause, retryAfterSeconds: RETRY_AFTER_SECONDS };
  if (cause instanceof BulkheadFull)
    return new AtlasError('overloaded', 'The PostgreSQL queue is full.', extras);
  return new AtlasError('dependency_unavailable', 'PostgreSQL cannot be reached.', extras);
}

/** Returns what callers get for an error. The driver creates its errors in a callback, so this adds their stack. */
export function callerError(error: unknown, signal: AbortSignal | undefined, role: string): unknown {
  const mapped = mapDatabaseError(error, signal, role);
  if (mapped !== error || !(error instanceof Error) || databaseErrorCode(error) === '') return mapped;
  const { stack = '' } = new Error();
  Object.defineProperty(error, 'stack', {
    value: `${error.stack}\n${stack.slice(stack.indexOf('\n') + 1)}`,
    configurable: true,
    writable: true,
  });
  return error;
}
