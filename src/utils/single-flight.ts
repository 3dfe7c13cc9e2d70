interface Flight<T> {
  readonly result: Promise<T>;
  readonly controller: AbortController;
  waiting: number;
}

/**
 * Runs work once for all callers that request it concurrently (after Go's `golang.org/x/sync/singleflight`). No caller
 * owns the work: a caller that aborts leaves, and the work is aborted only when the last one has left.
 */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Flight<T>>();
  readonly #flightsMax: number;

  /** Beyond `flightsMax` concurrent keys, each caller runs its own work. */
  constructor(flightsMax: number) {
    this.#flightsMax = flightsMax;
  }

  /** Number of keys with work in progress. */
  get size(): number {
    return this.#flights.size;
  }

  /** Joins the work for a key, or starts it. Rejects with the reason of the caller's signal if that aborts. */
  run(key: string, work: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const flight = this.#flights.get(key) ?? this.#start(key, work);
    if (flight === null) return work(signal ?? new AbortController().signal);
    flight.waiting++;
    return signal === undefined ? flight.result : this.#wait(key, flight, signal);
  }

  /** Detaches the work in progress for a key: the next caller starts new work. */
  forget(key: string): void {
    this.#flights.delete(key);
  }

  #start(key: string, work: (signal: AbortSignal) => Promise<T>): Flight<T> | null {
    if (this.#flights.size >= this.#flightsMax) return null;
    const controller = new AbortController();
    const result = work(controller.signal).finally(() => this.#end(key, flight));
    // All callers may have left before it fails.
    result.catch(() => {});
    const flight: Flight<T> = { result, controller, waiting: 0 };
    this.#flights.set(key, flight);
    return flight;
  }

  #end(key: string, flight: Flight<T>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
  }

  #wait(key: string, flight: Flight<T>, signal: AbortSignal): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const leave = () => {
        reject(signal.reason);
        if (--flight.waiting > 0) return;
        this.#end(key, flight);
        flight.controller.abort(signal.reason);
      };
      signal.addEventListener('abort', leave, { once: true });
      const cleanUp = () => signal.removeEventListener('abort', leave);
      flight.result.then(
        (value) => {
          cleanUp();
          resolve(value);
        },
        (error) => {
          cleanUp();
          reject(error);
        },
      );
    });
  }
}
