import { AtlasError } from '../../errors.ts';

const RETRY_AFTER_SECONDS_MAX = 5;

/**
 * Bounds how many transfers of bytes go on at a time in this worker: each holds memory and a connection of the store.
 */
export class TransferSlots {
  readonly #max: number;
  inFlight = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /**
   * Takes a place, and answers what gives it back, which may be called again. Throws `overloaded` when none is free.
   */
  enter(): () => void {
    if (this.inFlight >= this.#max) {
      throw new AtlasError(
        'overloaded',
        `This worker transfers ${this.#max} files already, as many as it may.`,
        {
          retryAfterSeconds: 1 + Math.floor(Math.random() * RETRY_AFTER_SECONDS_MAX),
        },
      );
    }
    this.inFlight++;
    let holds = true;
    return () => {
      if (holds) this.inFlight--;
      holds = false;
    };
  }
}
