/**
 * What a request does: post a transfer between two random accounts, hold money of one for another and then post that
 * hold, open an account, read a random one, or GET a fixed path.
 */
export type RequestKind = 'transfer' | 'hold and post' | 'opening' | 'account' | `/${string}`;

/** One stream of requests of a load. */
export interface LoadStream {
  readonly name: string;
  readonly kind: RequestKind;
  /** Its share of all requests. The shares of an order add up to 1. */
  readonly share: number;
  /** The value of the `Priority` header, if any. */
  readonly priority?: string;
}

/** The load to generate, as JSON in the first argument of the client. */
export interface LoadOrder {
  readonly url: string;
  readonly apiKey: string;
  /** Prefix of every Idempotency-Key, so that no two runs share one. */
  readonly run: string;
  readonly accounts: number;
  readonly streams: readonly LoadStream[];
  /** Connections, each with at most one request in flight. */
  readonly callers: number;
  /**
   * Requests due per second, evenly spaced, however fast the server responds (open loop). Null: each caller sends its
   * next request after the response (closed loop).
   */
  readonly ratePerSecond: number | null;
  readonly warmUpSeconds: number;
  readonly seconds: number;
  /** Processes whose CPU time to report, with their children. */
  readonly processes: Readonly<Record<string, number>>;
}

/** What became of the requests that were due in one second. */
export interface SecondReport {
  readonly due: number;
  readonly sent: number;
  /** 2xx within the objective. */
  readonly good: number;
  /** 2xx after it. */
  readonly late: number;
  /** 429. */
  readonly refused: number;
  /** Any other status. */
  readonly others: number;
}

/** Quantiles in milliseconds. NaN (null in JSON) if there were no such responses. */
export interface Latency {
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
}

/** One stream over the measured part of a run. Rates are per second. */
export interface StreamReport extends SecondReport {
  readonly name: string;
  readonly admitted: Latency;
  readonly refusedLatency: Latency;
  /** Every second of the run, warm-up included. */
  readonly seconds: readonly SecondReport[];
}

/** The result, as JSON on standard output. */
export interface LoadReport {
  readonly streams: readonly StreamReport[];
  /** All streams together. */
  readonly all: StreamReport;
  /** 201 responses over the whole run but those of holds, warm-up and late responses included. */
  readonly created: number;
  /** Requests over the whole run whose outcome the client does not know: no response, or neither 2xx nor 429. */
  readonly unknown: number;
  /** Responses by status over the whole run. `none` counts requests without a response. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Responses that arrived in the measured part of the run, per second. */
  readonly arrived: { readonly served: number; readonly refused: number };
  /** Cores that each process used in the measured part of the run, and this client. */
  readonly shares: Readonly<Record<string, number>>;
}

/** A 2xx response within this time is good. Later ones count as failed. */
export const OBJECTIVE_MS = 200;
