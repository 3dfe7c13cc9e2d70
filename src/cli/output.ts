import { databaseErrorCode, isConnectionLoss } from '../adapters/postgres/postgres.ts';

/** Prints an error for a person and ends the command. What Atlas foresaw is told as it is, without a stack. */
export function fail(error: unknown): never {
  const text = explain(error);
  process.stderr.write(`\n${text}\n`);
  if (process.env.LOG_LEVEL === 'debug' && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  process.exit(1);
}

// Class 28 is a refused log-in, 3D a database that is not there.
const REFUSED_LOGIN = /^(?:28|3D)/;

function explain(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  // What has a path is about a file, and files can be missing too.
  if (error instanceof Error && 'path' in error) return text;
  return isConnectionLoss(error) || REFUSED_LOGIN.test(databaseErrorCode(error))
    ? `PostgreSQL cannot be used.\n  why:  ${text}\n  do:   check DATABASE_URL and that its server runs, or unset it to use the embedded one`
    : text;
}

/** A table with aligned columns and no lines. Numbers stay on the right. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = [head, ...rows].map((row) => row.map(String));
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
