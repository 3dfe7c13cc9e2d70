import type { Exchange } from '../envelope/exchange.ts';
import type { Admission } from '../envelope/load-shedding.ts';

/** Counts of the decisions since the start of the process. */
export interface SheddingFigures {
  readonly inFlight: number;
  readonly inFlightMax: number;
  readonly admitted: number;
  readonly refused: number;
}

/**
 * A fixed number of permits, one for each request in flight. This process knows only itself; the permits of a cluster
 * are shared out before they come here.
 */
export class Permits implements Admission {
  readonly #inFlightMax: number;
  readonly #overloaded: () => Error;
  #inFlight = 0;
  #admitted = 0;
  #refused = 0;

  constructor(inFlightMax: number, overloaded: () => Error) {
    this.#inFlightMax = inFlightMax;
    this.#overloaded = overloaded;
  }

  admit(_exchange: Exchange): Error | null {
    if (this.#inFlight >= this.#inFlightMax) {
      this.#refused++;
      return this.#overloaded();
    }
    this.#inFlight++;
    this.#admitted++;
    return null;
  }

  release(_exchange: Exchange): void {
    this.#inFlight--;
  }

  figures(): SheddingFigures {
    return {
      inFlight: this.#inFlight,
      inFlightMax: this.#inFlightMax,
      admitted: this.#admitted,
      refused: this.#refused,
    };
  }
}
