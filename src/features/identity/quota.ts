/** What the requests of one key, or of one organization, may use. Null: no limit. */
export interface Quota {
  readonly requestsPerSecond: number | null;
  /** Requests beyond the rate that may follow an idle time at once. */
  readonly burst: number;
  readonly concurrentRequests: number | null;
}

export const QUOTA_KINDS = ['key', 'organization'] as const;

/** What has a quota: a key by its public ID, or an organization. */
export interface QuotaSubject {
  readonly kind: (typeof QUOTA_KINDS)[number];
  readonly id: string;
}

/** The quotas that operators have set for a key and its organization, instead of the defaults. */
export interface QuotaOverrides {
  readonly keyQuota: Quota | null;
  readonly organizationQuota: Quota | null;
}

/** The quotas of keys and organizations for which operators have set none. */
export interface DefaultQuotas {
  readonly key: Quota;
  readonly organization: Quota;
}

export const REQUESTS_PER_SECOND_MAX = 1_000_000;
export const BURST_MAX = 10_000_000;
export const CONCURRENT_REQUESTS_MAX = 1_000_000;

// A worker holds tokens ahead, and takes more at intervals: without this tolerance some would be lost meanwhile.
const TOLERANCE_INTERVALS = 1.6;
const INTERVAL_MS = 25;

/** Whether the quota limits anything. */
export function isLimited({ requestsPerSecond, concurrentRequests }: Quota): boolean {
  return requestsPerSecond !== null || concurrentRequests !== null;
}

/**
 * Returns how many tokens a quota holds when it is unused: the burst, and a tolerance of 40 ms of the rate (more if
 * workers report at longer intervals) or one request per worker. So in t seconds, at most rate × t + this many requests
 * are served.
 */
export function capacityOf(
  requestsPerSecond: number,
  burst: number,
  workers: number,
  intervalMs = INTERVAL_MS,
): number {
  const tolerance = (requestsPerSecond * TOLERANCE_INTERVALS * intervalMs) / 1000;
  return burst + Math.max(1 + tolerance, workers);
}

export function isSame(a: Quota, b: Quota): boolean {
  return (
    a.requestsPerSecond === b.requestsPerSecond &&
    a.burst === b.burst &&
    a.concurrentRequests === b.concurrentRequests
  );
}
