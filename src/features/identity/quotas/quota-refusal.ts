import { AtlasError } from '../../../errors.ts';
import { prepareProblem } from '../../../http/problem.ts';
import { httpProblems } from '../../../http/problems.ts';
import type { Quota, QuotaSubject } from '../quota.ts';
import type { Exceeded } from './meter.ts';

// In both cases the next request may be possible much sooner, but not one second's worth of them.
const RETRY_AFTER_SECONDS = 1;

/**
 * Returns the error that refuses a request. Create it once for a quota: it is written out here, because a refusal must
 * cost less than it saves. The fields are those of draft-ietf-httpapi-ratelimit-headers-11.
 */
export function quotaExceeded(kind: QuotaSubject['kind'], quota: Quota, exceeded: Exceeded): AtlasError {
  const policy = exceeded === 'requests' ? `${kind}-requests` : `${kind}-concurrent-requests`;
  const whose = kind === 'key' ? 'This API key' : 'Your organization';
  const { requestsPerSecond: rate, burst, concurrentRequests } = quota;
  const [limit, fields] =
    exceeded === 'requests'
      ? [
          `${counted(rate!, 'request')} per second${burst > 0 ? `, and a burst of ${burst} more` : ''}`,
          `q=${rate};w=1${burst > 0 ? `;atlas-burst=${burst}` : ''}`,
        ]
      : [
          counted(concurrentRequests!, 'concurrent request'),
          `q=${concurrentRequests};qu="concurrent-requests"`,
        ];
  const error = new AtlasError(
    'quota_exceeded',
    `${whose} has a quota of ${limit}. Nothing was done; wait for Retry-After, then retry.`,
    {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
      headers: {
        'RateLimit-Policy': `"${policy}";${fields}`,
        RateLimit: `"${policy}";r=0;t=${RETRY_AFTER_SECONDS}`,
      },
    },
  );
  return prepareProblem(error, httpProblems.quota_exceeded);
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
