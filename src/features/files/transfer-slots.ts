import { AtlasError } from '../../errors.ts';

const RETRY_AFTER_SECONDS_MAX = 5;

/** Bounds the concurrent transfers of this worker: each holds memory and a connection to the store. */
export class TransferSlots {
  readonly #max: number;
  inFlight = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Takes a slot and returns a function that releases it, safe to call twice. Throws `overloaded` if none is free. */
  enter(): () => void {
    if (this.inFlight >= this.#max) {
      throw new AtlasError(
        'overloaded',
        `This worker already has ${this.#max} uploads and downloads in progress, which is the maximum.`,
        {
          retryAfterSeconds: 1 + Math.floor(Math.random() * RETRY_AFTER_SECONDS_MAX),
        },
      );
    }
    this.inFlight++;
    let isHeld = true;
    return () => {
      if (isHeld) this.inFlight--;
      isHeld = false;
    };
  }
}
