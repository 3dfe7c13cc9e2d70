/** The interval of reports while a quota is in use, and the longest one, when too many are in use. */
export const REPORT_MS = 25;
export const REPORT_MS_MAX = 500;
/** The interval of reports while it is not, and the longest wait for a token that is expected. */
export const QUIET_REPORT_MS = 200;
/** How long a worker uses what it was granted after it sent the report. The account counts it for twice as long. */
export const VALID_MS = 600;
/** A report without a reply after this long has failed. */
export const REPLY_TIMEOUT_MS = 100;
/** How long after a failure the next report is sent. */
export const PROBE_MS = 250;
/** The most subjects in one command, and the shortest pause before the next command. */
export const REPORTS_PER_CALL = 100;
export const CALL_MS_MIN = 5;
/** Reports of all workers together. Each takes about 7 µs of Redis, so this is about a fifth of its core. */
export const REPORTS_PER_SECOND_MAX = 30_000;

/** What a worker reports about one quota, and what it wants to use until its next report. */
export interface QuotaReport {
  /** Tokens per second; 0 without a limit. */
  readonly rate: number;
  /** Tokens that an unused quota holds. */
  readonly capacity: number;
  /** Tokens that it keeps, and those that it gives back. */
  readonly kept: number;
  readonly returned: number;
  /** Requests that it served without a token, on its share. */
  readonly owed: number;
  /** Further tokens that it could use. */
  readonly wanted: number;
  /** The limit of concurrent requests; 0 without one. */
  readonly concurrentMax: number;
  /** How many of them it holds, and how many it could use. */
  readonly claimed: number;
  readonly wantedInFlight: number;
}

/** The reply to a report. */
export interface QuotaGrant {
  /** Further tokens. */
  readonly granted: number;
  /** Milliseconds until there is another token, if fewer were granted than wanted. */
  readonly waitMs: number;
  /** Concurrent requests that the worker may have. */
  readonly lease: number;
}

/**
 * Where the accounts of the quotas are. `run` runs the script of `quota-account.lua` on accounts, in one command. Its
 * promise may never settle, so callers bound their wait.
 */
export interface QuotaStore {
  run(names: readonly string[], args: readonly (string | number)[]): Promise<readonly number[]>;
}

const NUMBERS_PER_GRANT = 3;

/** Returns the arguments of the script: the time (empty: that of Redis), the worker, and the reports. */
export function encodeReports(
  workerId: string,
  reports: readonly QuotaReport[],
  now: number | '' = '',
): (string | number)[] {
  return [
    now,
    workerId,
    ...reports.flatMap((report) => [
      report.rate,
      report.capacity,
      report.kept,
      report.returned,
      report.owed,
      report.wanted,
      report.concurrentMax,
      report.claimed,
      report.wantedInFlight,
    ]),
  ];
}

/** Decodes the reply of the script. */
export function decodeGrants(numbers: readonly number[]): QuotaGrant[] {
  return Array.from({ length: numbers.length / NUMBERS_PER_GRANT }, (_, i) => {
    const [granted, waitMs, lease] = numbers.slice(i * NUMBERS_PER_GRANT) as [number, number, number];
    return { granted, waitMs, lease };
  });
}
