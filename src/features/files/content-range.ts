/** A range of bytes of a file, both positions inclusive. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

// Numbers of 15 digits are exact, and larger than any file.
const RANGE = /^bytes=\s*(\d{0,15})-(\d{0,15})\s*$/i;

/**
 * Parses a `Range` header (RFC 9110, section 14.2). Returns null for the whole file, also if the header is malformed,
 * uses another unit, or requests several ranges, which a server may ignore.
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

/** Whether `If-Range` allows a partial response: it must match the ETag exactly, which a date never does. */
export function allowsRange(ifRange: string | null, etag: string): boolean {
  return ifRange === null || ifRange.trim() === etag;
}
