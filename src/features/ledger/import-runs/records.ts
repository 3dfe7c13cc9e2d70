import { CHUNK_BYTES } from '../../../utils/chunk-bytes.ts';
import { LINE_BYTES_MAX } from '../import.ts';

/** Reads a file at a position. */
export interface ImportSource {
  readonly sizeBytes: number;
  /** Returns the bytes from `first` to `last`, both inclusive. */
  read(first: number, last: number): Promise<Buffer>;
}

/** Where a record begins: its first byte, and the number of its line. */
export interface Place {
  readonly position: number;
  readonly line: number;
}

/** The bytes of a line, or of a CSV record, which may have several lines. Without its line end. */
export interface RawRecord {
  readonly line: number;
  /** Null if it is longer than `LINE_BYTES_MAX`. */
  readonly bytes: Buffer | null;
}

/** Records that follow each other, and where the next one begins. */
export interface Block {
  readonly records: readonly RawRecord[];
  readonly next: Place;
}

// As large as the chunks of stored files, and aligned with them, so that each is read once.
const SEGMENT_BYTES = CHUNK_BYTES;
const BLOCK_RECORDS_MAX = 1000;
const BLOCK_BYTES_MAX = 1_048_576;
const LF = 10;
const CR = 13;
const QUOTE = 34;

/**
 * Yields the records of a file from a place on, in blocks of up to 1,000 records and about 1 MiB. Where a block ends
 * depends on nothing but the file and where it began, so a block that is read again is the same. Blank lines are no
 * records. If records are `quoted`, a line end between quotes is part of a field (RFC 4180).
 */
export async function* readBlocks(
  source: ImportSource,
  from: Place,
  { quoted, recordsMax = BLOCK_RECORDS_MAX }: { readonly quoted: boolean; readonly recordsMax?: number },
): AsyncGenerator<Block, void, undefined> {
  let { position, line } = from;
  /** What was read and not yet split, which begins at `position`. */
  let rest: Buffer = Buffer.alloc(0);
  let readTo = position;
  let yielded = position;
  let records: RawRecord[] = [];
  let bytes = 0;
  let scan = newScan();
  /** Whether the record is too long, so that its bytes are dropped. */
  let isCut = false;
  while (readTo < source.sizeBytes || rest.length > 0) {
    if (readTo < source.sizeBytes) {
      const last = Math.min(source.sizeBytes, (Math.floor(readTo / SEGMENT_BYTES) + 1) * SEGMENT_BYTES) - 1;
      const segment = await source.read(readTo, last);
      rest = rest.length === 0 ? segment : Buffer.concat([rest, segment]);
      readTo = last + 1;
    }
    const isLast = readTo >= source.sizeBytes;
    for (;;) {
      const end = endOfRecord(rest, scan, quoted);
      if (end < 0 && !isLast) break;
      const stop = end < 0 ? rest.length : end;
      const content = trimmed(rest.subarray(0, stop));
      const isLong = isCut || content.length > LINE_BYTES_MAX;
      if (isLong || content.length > 0) records.push({ line, bytes: isLong ? null : content });
      bytes += isLong ? 0 : content.length;
      line += scan.lines + 1;
      position += Math.min(stop + 1, rest.length);
      rest = rest.subarray(stop + 1);
      scan = newScan();
      isCut = false;
      if (records.length >= recordsMax || bytes >= BLOCK_BYTES_MAX) {
        yield { records, next: { position, line } };
        yielded = position;
        records = [];
        bytes = 0;
      }
      if (rest.length === 0) break;
    }
    if (rest.length > LINE_BYTES_MAX && !isLast) {
      isCut = true;
      position += rest.length;
      rest = Buffer.alloc(0);
      scan.at = 0;
    }
  }
  // Blank lines at the end are part of the last block.
  if (records.length > 0 || position > yielded) yield { records, next: { position, line } };
}

/** How far a record was searched for its end, so that no byte is searched twice. */
interface Scan {
  at: number;
  isQuoted: boolean;
  /** Line ends between quotes. */
  lines: number;
}

const newScan = (): Scan => ({ at: 0, isQuoted: false, lines: 0 });

/** Returns the index of the line end, or -1. */
function endOfRecord(bytes: Buffer, scan: Scan, quoted: boolean): number {
  if (!quoted) {
    const end = bytes.indexOf(LF, scan.at);
    scan.at = bytes.length;
    return end;
  }
  for (;;) {
    const end = bytes.indexOf(LF, scan.at);
    const stop = end < 0 ? bytes.length : end;
    const part = bytes.subarray(scan.at, stop);
    for (let at = part.indexOf(QUOTE); at >= 0; at = part.indexOf(QUOTE, at + 1))
      scan.isQuoted = !scan.isQuoted;
    scan.at = stop;
    if (end < 0 || !scan.isQuoted) return end;
    scan.lines++;
    scan.at = end + 1;
  }
}

/** Without the carriage return of a line end. A line of nothing else is blank. */
function trimmed(bytes: Buffer): Buffer {
  return bytes.at(-1) === CR ? bytes.subarray(0, -1) : bytes;
}
