import { CsvError, parse } from 'csv-parse/sync';
import { LINE_BYTES_MAX } from '../import.ts';
import { type Fault, fault } from './fault.ts';
import type { RawRecord } from './records.ts';

/** What the header row of a CSV file says. */
export interface CsvHead {
  readonly delimiter: ',' | ';';
  readonly columns: readonly string[];
  /** What its rows are. */
  readonly type: 'transfer' | 'account';
}

const METADATA = 'metadata.';
const COLUMNS = {
  transfer: ['id', 'debitAccountId', 'creditAccountId', 'amount', 'reference', 'effectiveAt'],
  account: ['id', 'ledger', 'name', 'kind', 'allowNegative'],
} as const;
/** Columns that only a file of this type has. */
const TELLING = { transfer: 'amount', account: 'ledger' } as const;
const WHOLE_NUMBER = /^-?\d{1,16}$/;

/** Reads the header row. Returns what is wrong with it. */
export function readHead(row: string): CsvHead | Fault {
  const delimiter = row.includes(';') && !row.includes(',') ? ';' : ',';
  const columns = parseRows(row, delimiter)?.[0];
  if (columns === undefined) return fault(null, 'The header row is not valid CSV (RFC 4180).');
  const type = columns.includes(TELLING.account) ? 'account' : 'transfer';
  const allowed: readonly string[] = COLUMNS[type];
  for (const [i, column] of columns.entries()) {
    if (columns.indexOf(column) !== i) return fault(column, 'The header row has this column twice.');
    const isMetadata = column.startsWith(METADATA) && column.length > METADATA.length;
    if (!isMetadata && !allowed.includes(column))
      return fault(column, `A file of ${type}s has the columns ${allowed.join(', ')}, and metadata.NAME.`);
  }
  const required = type === 'account' ? ['id', 'ledger'] : ['debitAccountId', 'creditAccountId', 'amount'];
  const missing = required.find((column) => !columns.includes(column));
  if (missing !== undefined) return fault(missing, `The header row of ${type}s lacks this column.`);
  return { delimiter, columns, type };
}

/**
 * Parses the records of a block. Each becomes an object like a line of NDJSON, in which an empty field is absent, or a
 * fault.
 */
export function parseCsv(records: readonly RawRecord[], head: CsvHead): (object | Fault)[] {
  const texts = records.map(({ bytes }) => bytes?.toString('utf8') ?? '');
  const rows = texts.includes('') ? null : parseRows(texts.join('\n'), head.delimiter);
  // One that is not valid takes the others of its block with it, so they are parsed one by one.
  if (rows?.length === records.length) return rows.map((row) => toObject(row, head));
  return texts.map((text, i) => {
    if (records[i]!.bytes === null) return TOO_LONG;
    const parsed = parseRows(text, head.delimiter);
    return parsed?.length === 1
      ? toObject(parsed[0]!, head)
      : fault(null, 'The record is not valid CSV (RFC 4180): check its quotes.');
  });
}

export const TOO_LONG = fault(null, `The line is longer than ${LINE_BYTES_MAX} bytes.`);

function parseRows(text: string, delimiter: string): string[][] | null {
  try {
    return parse(text, { delimiter, relaxColumnCount: true, recordDelimiter: ['\n', '\r\n'] });
  } catch (error) {
    if (error instanceof CsvError) return null;
    throw error;
  }
}

function toObject(row: readonly string[], { columns, type }: CsvHead): object | Fault {
  if (row.length !== columns.length)
    return fault(null, `The record has ${row.length} fields, and the header row ${columns.length}.`);
  const object: Record<string, unknown> = { type };
  let metadata: Record<string, string> | undefined;
  for (const [i, text] of row.entries()) {
    const column = columns[i]!;
    if (text === '') continue;
    if (column.startsWith(METADATA)) {
      metadata ??= {};
      metadata[column.slice(METADATA.length)] = text;
    } else object[column] = toValue(column, text);
  }
  if (metadata !== undefined) object.metadata = metadata;
  return object;
}

/** What is no number, or no boolean, stays text, which the schema refuses. */
function toValue(column: string, text: string): string | number | boolean {
  if (column === 'amount' && WHOLE_NUMBER.test(text)) return Number(text);
  if (column === 'allowNegative' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}
