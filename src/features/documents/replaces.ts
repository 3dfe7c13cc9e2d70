import { expectedVersions } from '../../http/etag.ts';
import type { Replaces } from './domain.ts';

/** Returns what a request with this If-Match may replace. Without one it only creates. */
export function replacesOf(ifMatch: string | undefined): Replaces {
  return ifMatch === undefined ? 'none' : expectedVersions(ifMatch);
}
