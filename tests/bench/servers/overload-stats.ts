/** What the benchmark may ask a server of a variant at any time. */
export interface OverloadStats {
  /** Handlers that run now. */
  readonly inFlight: number;
  /** Requests in flight that the server allows itself now; null where it has no limit. */
  readonly limit: number | null;
  /** When each URL was first asked for since the last reset, in milliseconds of the server's clock. */
  readonly firstMs: Readonly<Record<string, number>>;
}

/** Where the stats are told; with `?reset` the server forgets which URLs it has seen. */
export const STATS_PATH = '/bench/stats';

/** A route whose handler ends only when its caller goes away, so that it holds a permit for as long as is needed. */
export const HOLD_PATH = '/bench/hold';

/** Requests in flight that the variant with a fixed limit allows, as Atlas did before it could adapt. */
export const FIXED_LIMIT = 1000;
