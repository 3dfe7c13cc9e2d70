import { databaseCause, databaseErrorCode, isConnectionLoss } from '../adapters/postgres/postgres.ts';
import { setupRemedy } from '../adapters/postgres/setup-fault.ts';
import { fileRemedy, isFileError } from '../utils/data-folder-error.ts';

/** Prints an error and exits with 1. The stack is printed only at LOG_LEVEL=debug. */
export function fail(error: unknown): never {
  const text = explainError(error);
  process.stderr.write(`\n${text}\n`);
  if (process.env.LOG_LEVEL === 'debug' && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  process.exit(1);
}

// SQLSTATE class 28 is a rejected login, 3D a database that does not exist.
const REJECTED_LOGIN = /^(?:28|3D)/;
// Of a server that is too old, and of PgBouncer.
const REFUSED_SETTING = /^(?:unrecognized configuration parameter|unsupported startup parameter)/;
const UNDEFINED_TABLE = '42P01';
const READ_ONLY = '25006';

/** Returns the text for a person: what failed, and, for errors of PostgreSQL, also why and what to do. */
export function explainError(error: unknown): string {
  const cause = databaseErrorCode(databaseCause(error)) === '' ? error : databaseCause(error);
  const text = cause instanceof Error ? cause.message : String(cause);
  // An error with a path is about a file: its ENOENT is not a lost connection.
  if (isFileError(cause))
    return `A file or folder cannot be used.\n  why:  ${text}\n  do:   ${fileRemedy(cause)}`;
  // Of the object store in a directory.
  if (error instanceof Error && isFileError(error.cause) && !text.includes('\n  why:'))
    return `${text}\n  why:  ${error.cause.message}\n  do:   ${fileRemedy(error.cause)}`;
  const code = databaseErrorCode(cause);
  if (code === UNDEFINED_TABLE)
    return `The database schema is out of date.\n  why:  ${text}\n  do:   npm run migrate`;
  if (code === READ_ONLY)
    return `PostgreSQL is read-only.\n  why:  ${text}; it is a standby, or default_transaction_read_only is on\n  do:   set DATABASE_URL to the primary, or turn default_transaction_read_only off`;
  if (REFUSED_SETTING.test(text))
    return `PostgreSQL refuses a setting that Atlas relies on.\n  why:  ${text}\n  do:   use PostgreSQL 15 or newer, and set DATABASE_URL to the server itself or to a pooler that passes the parameters of a session on`;
  if (isConnectionLoss(cause) || REJECTED_LOGIN.test(code))
    return `PostgreSQL is unavailable.\n  why:  ${text}\n  do:   check DATABASE_URL and that the server is running, or unset it to use the embedded server`;
  const remedy = setupRemedy(cause);
  if (remedy !== null)
    return `PostgreSQL is not set up for this command.\n  why:  ${text}\n  do:   ${remedy}`;
  return text;
}

// Names are chosen by others: a line break would forge a row, and an escape sequence would reach the terminal.
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;
const escaped = (text: string) =>
  text.replace(UNPRINTABLE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** Returns a table with aligned columns and no borders. Numbers are right-aligned, control characters escaped. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => escaped(String(cell))));
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const lines = cells.map((row, r) =>
    row
      .map((cell, column) => {
        const right = r > 0 && typeof rows[r - 1]![column] === 'number';
        return right ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!);
      })
      .join('  ')
      .trimEnd(),
  );
  return lines.join('\n');
}

/** Returns a count with its noun, such as `1 key` or `2 keys`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
