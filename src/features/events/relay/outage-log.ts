import { AtlasError } from '../../../errors.ts';
import type { Logger } from '../../../instrumentation/logger.ts';

const REPEAT_MS = 60_000;

type Outage = { readonly sinceMs: number; readonly loggedMs: number };

/** Logs the start of an outage, a reminder each minute while it lasts, and its end. */
export class OutageLog {
  readonly #logger: Logger;
  #outage: Outage | null = null;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  failed(err: unknown): void {
    const nowMs = performance.now();
    if (this.#outage !== null && nowMs - this.#outage.loggedMs < REPEAT_MS) return;
    this.#outage = { sinceMs: this.#outage?.sinceMs ?? nowMs, loggedMs: nowMs };
    // An unavailable dependency needs no stack.
    const why = err instanceof AtlasError ? causeOf(err) : { err };
    this.#logger.warn(why, 'events are not being sent; they stay in the outbox and will be retried');
  }

  succeeded(): void {
    if (this.#outage === null) return;
    const seconds = Math.round((performance.now() - this.#outage.sinceMs) / 1000);
    this.#outage = null;
    this.#logger.info({ seconds }, 'events are being sent again');
  }
}

function causeOf({ message, cause, remedy }: AtlasError): { cause: string; do?: string } {
  if (remedy === undefined) return { cause: message };
  return { cause: cause instanceof Error ? `${message} ${cause.message}` : message, do: remedy };
}
