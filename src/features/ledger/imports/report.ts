import { toCsv } from '../../../utils/csv.ts';
import type { ImportFormat, RefusedLine } from '../import.ts';
import { toNdjson } from '../stream-lines.ts';

/** Returns what a report of refused lines starts with. */
export function reportHead(format: ImportFormat): string {
  return format === 'csv' ? toCsv([['line', 'member', 'code', 'detail']]) : '';
}

/** Returns refused lines as a part of a report. */
export function toReport(lines: readonly RefusedLine[], format: ImportFormat): string {
  if (format === 'ndjson') return toNdjson(lines);
  return toCsv(lines.map(({ line, member, code, detail }) => [String(line), member ?? '', code, detail]));
}
