/** The bytes of a file that an answer holds: positions, both included. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

// 15 digits are exact as numbers, and more than any file has.
const RANGE = /^bytes=\s*(\d{0,15})-(\d{0,15})\s*$/i;

/**
 * What a `Range` header asks for (RFC 9110, section 14.2): a range; null for the whole file, also where the header is
 * malformed, of another unit, or asks for several ranges, which a server may ignore; or `unsatisfiable`.
 */
export function readRange(header: string | null, sizeBytes: number): ByteRange | null | 'unsatisfiable' {
  const parts = header === null ? null : RANGE.exec(header);
  if (parts === null) return null;
  const [, from = '', to = ''] = parts;
  if (from === '' && to === '') return null;
  if (from === '') {
    const length = Math.min(Number(to), sizeBytes);
    return length === 0 ? 'unsatisfiable' : { first: sizeBytes - length, last: sizeBytes - 1 };
  }
  const first = Number(from);
  const last = to === '' ? sizeBytes - 1 : Math.min(Number(to), sizeBytes - 1);
  if (to !== '' && Number(to) < first) return null;
  return first >= sizeBytes ? 'unsatisfiable' : { first, last };
}

/** Whether `If-Range` lets a range be answered: it must name this very version, and a date never does. */
export function allowsRange(ifRange: string | null, etag: string): boolean {
  return ifRange === null || ifRange.trim() === etag;
}

/** Whether `If-None-Match` names the version (weak comparison; RFC 9110, section 13.1.2). */
export function isKnown(ifNoneMatch: string | null, etag: string): boolean {
  if (ifNoneMatch === null) return false;
  if (ifNoneMatch.trim() === '*') return true;
  return ifNoneMatch.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
}
