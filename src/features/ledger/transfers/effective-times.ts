import { AtlasError, type InputError } from '../../../errors.ts';
import type { RequestIdentity } from '../submit.ts';

/** Throws `effective_at_not_allowed` for transfers that must not take effect then. Null if none says when. */
export type EffectiveTimes = (
  identity: Pick<RequestIdentity, 'owner' | 'key'>,
  transfers: readonly { readonly effectiveAt?: Date | null | undefined }[],
  pointerOf: (index: number) => string,
) => Promise<void> | null;

/** What transfers are checked with. */
export interface EffectiveTimesOptions {
  /** How long ago a transfer may have taken effect; 0 if none may have a time of its own. */
  readonly daysMax: number;
  isKeyUsed(owner: string, key: string): Promise<boolean>;
  nowMs?(): number;
}

const DAY_MS = 86_400_000;
const ERRORS_MAX = 20;

/** Creates the check of when transfers take effect: not in the future, and not too long ago. */
export function createEffectiveTimes({
  daysMax,
  isKeyUsed,
  nowMs = Date.now,
}: EffectiveTimesOptions): EffectiveTimes {
  async function check(...[identity, transfers, pointerOf]: Parameters<EffectiveTimes>): Promise<void> {
    const now = nowMs();
    const errors = transfers.flatMap(({ effectiveAt }, i): InputError[] => {
      if (!effectiveAt) return [];
      const detail = trouble(effectiveAt.getTime(), now, daysMax);
      return detail === null ? [] : [{ pointer: `${pointerOf(i)}/effectiveAt`, detail }];
    });
    // What was posted when it was allowed must be found by its retries.
    if (errors.length === 0 || (await isKeyUsed(identity.owner, identity.key))) return;
    throw new AtlasError('effective_at_not_allowed', 'A transfer cannot take effect then; see `errors`.', {
      errors: errors.slice(0, ERRORS_MAX),
    });
  }
  return (identity, transfers, pointerOf) =>
    transfers.some(({ effectiveAt }) => effectiveAt) ? check(identity, transfers, pointerOf) : null;
}

function trouble(effectiveMs: number, nowMs: number, daysMax: number): string | null {
  if (effectiveMs > nowMs) return 'is in the future';
  if (daysMax === 0) return 'is not allowed here: LEDGER_BACKDATE_DAYS is 0';
  return effectiveMs < nowMs - daysMax * DAY_MS ? `is more than ${daysMax} days ago` : null;
}
