/** What the server of a variant reports to the benchmark. */
export interface OverloadStats {
  /** Running handlers. */
  readonly inFlight: number;
  /** Current limit on requests in flight. Null if there is none. */
  readonly limit: number | null;
  /** Time of the first request for each URL since the last reset, in milliseconds of the server's clock. */
  readonly firstMs: Readonly<Record<string, number>>;
}

/** The path of the stats. With `?reset`, the server then forgets which URLs it has seen. */
export const STATS_PATH = '/bench/stats';

/** A route whose handler runs until its caller disconnects, to hold a permit. */
export const HOLD_PATH = '/bench/hold';

/** The limit on requests in flight of the variant `fixed`, which Atlas had before it could adapt. */
export const FIXED_LIMIT = 1000;
