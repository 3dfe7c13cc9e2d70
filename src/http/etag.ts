import { AtlasError } from '../errors.ts';

/** The versions that a change may be made to. */
export type Expected = readonly number[] | 'any';

const STRONG_ETAG = /^"(\d{1,15})"$/;

/** The strong ETag of a resource that counts its changes (RFC 9110, section 8.8.3). */
export function etagOf(version: number): string {
  return `"${version}"`;
}

/**
 * The versions that an If-Match header names. Weak ETags, and those of something else, are never the right one. Throws
 * `precondition_required` without a header: a change that does not say what it changes could undo somebody else's.
 */
export function expectedVersions(ifMatch: string | undefined): Expected {
  if (ifMatch === undefined)
    throw new AtlasError('precondition_required', 'Send the ETag that you read in If-Match.');
  if (ifMatch.trim() === '*') return 'any';
  return ifMatch.split(',').flatMap((tag) => {
    const version = STRONG_ETAG.exec(tag.trim())?.[1];
    return version === undefined ? [] : [Number(version)];
  });
}
