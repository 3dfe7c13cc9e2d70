interface Flight<T> {
  readonly landed: Promise<T>;
  readonly controller: AbortController;
  waiting: number;
}

/**
 * Has work that several callers want at the same time done once for all of them (the idea of Go's
 * `golang.org/x/sync/singleflight`). The work belongs to nobody: a caller that gives up leaves, and only when the last
 * one has left is the work aborted.
 */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Flight<T>>();
  readonly #flightsMax: number;

  /** Beyond `flightsMax` keys at a time, callers work for themselves. */
  constructor(flightsMax: number) {
    this.#flightsMax = flightsMax;
  }

  /** Keys that are worked on now. */
  get size(): number {
    return this.#flights.size;
  }

  /** Joins the work under the key, or begins it. Rejects with the reason of the caller's signal when that aborts. */
  run(key: string, work: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const flight = this.#flights.get(key) ?? this.#begin(key, work);
    if (flight === null) return work(signal ?? new AbortController().signal);
    flight.waiting++;
    return signal === undefined ? flight.landed : this.#wait(key, flight, signal);
  }

  /** Lets nobody join what is under way for the key: whoever comes now begins anew. */
  forget(key: string): void {
    this.#flights.delete(key);
  }

  #begin(key: string, work: (signal: AbortSignal) => Promise<T>): Flight<T> | null {
    if (this.#flights.size >= this.#flightsMax) return null;
    const controller = new AbortController();
    const landed = work(controller.signal).finally(() => this.#end(key, flight));
    // Everybody may have left before it fails.
    landed.catch(() => {});
    const flight: Flight<T> = { landed, controller, waiting: 0 };
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
      const stay = () => signal.removeEventListener('abort', leave);
      flight.landed.then(
        (value) => {
          stay();
          resolve(value);
        },
        (error) => {
          stay();
          reject(error);
        },
      );
    });
  }
}
