import { AtlasError } from '../../../errors.ts';
import { FairShares } from '../../../utils/fair-shares.ts';

/** Throws `webhook_target_refused` for a URL that Atlas must not connect to. */
export type CheckTarget = (url: string, signal: AbortSignal) => Promise<void>;
/** Checks the URL of an owner. Also throws `overloaded`. */
export type CheckTargetOf = (owner: string, url: string, signal: AbortSignal) => Promise<void>;

// Each waits up to 5 s for name servers that the caller chose, and holds a permit for as long.
const CHECKS_MAX = 64;
const RETRY_AFTER_SECONDS = 5;

/** Bounds the checks in progress on this worker: those of one owner, for silent name servers, leave some to others. */
export function limitChecks(check: CheckTarget): CheckTargetOf {
  const shares = new FairShares(CHECKS_MAX);
  return async (owner, url, signal) => {
    const held = shares.held(owner);
    if (shares.take(owner) !== null) {
      const detail = `The hosts of ${held} URLs of yours are being resolved, and others need the rest. Retry later.`;
      throw new AtlasError('overloaded', detail, { retryAfterSeconds: RETRY_AFTER_SECONDS });
    }
    try {
      await check(url, signal);
    } finally {
      shares.release(owner);
    }
  };
}
