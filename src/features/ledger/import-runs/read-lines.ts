import { isUtf8 } from 'node:buffer';
import type { ImportFormat } from '../import.ts';
import { type CsvHead, parseCsv, readHead, TOO_LONG } from './csv.ts';
import { Fault, fault } from './fault.ts';
import { type Line, type LineRules, toLine } from './lines.ts';
import { type Block, type ImportSource, type Place, type RawRecord, readBlocks } from './records.ts';

/** A line of a file with its number. */
export interface NumberedLine {
  readonly line: number;
  readonly value: Line | Fault;
}

/** Lines that follow each other, and where the next one begins. */
export interface LineBlock {
  readonly lines: readonly NumberedLine[];
  readonly next: Place;
}

const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
const STEP_LINES = 250;
const NOT_UTF8 = fault(null, 'The line is not UTF-8.');

/**
 * Yields the lines of a file from a place on, validated. A header row of a CSV file that cannot be used is the only
 * line.
 */
export async function* readLines(
  source: ImportSource,
  format: ImportFormat,
  from: Place,
  rules: LineRules,
): AsyncGenerator<LineBlock, void, undefined> {
  const first = await skipBom(source);
  const quoted = format === 'csv';
  if (!quoted) {
    const place = from.position < first.position ? first : from;
    for await (const block of readBlocks(source, place, { quoted }))
      yield await toLines(block, parseJson, rules);
    return;
  }
  const { head, next } = await readHeadRow(source, first);
  if (head instanceof Fault) {
    yield { lines: [{ line: 1, value: head }], next: { position: source.sizeBytes, line: 2 } };
    return;
  }
  const place = from.position < next.position ? next : from;
  const parse = (records: readonly RawRecord[]) => parseCsv(records, head);
  for await (const block of readBlocks(source, place, { quoted })) yield await toLines(block, parse, rules);
}

type Parse = (records: readonly RawRecord[]) => unknown[];

/** In steps of some milliseconds, so that requests do not wait for a whole block. */
async function toLines({ records, next }: Block, parse: Parse, rules: LineRules): Promise<LineBlock> {
  const lines: NumberedLine[] = [];
  for (let from = 0; from < records.length; from += STEP_LINES) {
    const step = records.slice(from, from + STEP_LINES);
    const values = parse(step);
    for (const [i, { line, bytes }] of step.entries()) {
      const value = bytes === null || isUtf8(bytes) ? values[i] : NOT_UTF8;
      lines.push({ line, value: value instanceof Fault ? value : toLine(value, rules) });
    }
    await new Promise(setImmediate);
  }
  return { lines, next };
}

function parseJson(records: readonly RawRecord[]): unknown[] {
  return records.map(({ bytes }) => {
    if (bytes === null) return TOO_LONG;
    try {
      return JSON.parse(bytes.toString('utf8'));
    } catch {
      return fault(null, 'The line is not JSON.');
    }
  });
}

async function skipBom(source: ImportSource): Promise<Place> {
  const start = await source.read(0, Math.min(source.sizeBytes, BOM.length) - 1);
  return { position: start.equals(BOM) ? BOM.length : 0, line: 1 };
}

async function readHeadRow(
  source: ImportSource,
  from: Place,
): Promise<{ head: CsvHead | Fault; next: Place }> {
  for await (const { records, next } of readBlocks(source, from, { quoted: true, recordsMax: 1 })) {
    const [row] = records;
    if (row === undefined) break;
    const isText = row.bytes !== null && isUtf8(row.bytes);
    return { head: isText ? readHead(row.bytes.toString('utf8')) : NOT_UTF8, next };
  }
  return { head: fault(null, 'The file has no header row.'), next: from };
}
