import { AtlasError } from '../errors.ts';

/** The versions that a change may apply to. */
export type Expected = readonly number[] | 'any';

const STRONG_ETAG = /^"(0|[1-9]\d{0,14})"$/;

/** Returns the strong ETag of a resource version (RFC 9110, section 8.8.3). */
export function etagOf(version: number): string {
  return `"${version}"`;
}

/**
 * Returns the versions that an If-Match header names. Weak and malformed ETags never match. Throws
 * `precondition_required` without the header, because a blind change could overwrite a concurrent one.
 *
 * @example expectedVersions('"3", "4"'); // [3, 4]
 */
export function expectedVersions(ifMatch: string | undefined): Expected {
  if (ifMatch === undefined)
    throw new AtlasError('precondition_required', 'Send the ETag you read in If-Match.');
  if (ifMatch.trim() === '*') return 'any';
  return ifMatch.split(',').flatMap((tag) => {
    const version = STRONG_ETAG.exec(tag.trim())?.[1];
    return version === undefined ? [] : [Number(version)];
  });
}

/** Whether `If-None-Match` matches the ETag (weak comparison; RFC 9110, section 13.1.2). */
export function matchesEtag(ifNoneMatch: string | null, etag: string): boolean {
  if (ifNoneMatch === null) return false;
  if (ifNoneMatch.trim() === '*') return true;
  return ifNoneMatch.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
}
