import { tlsRemedy } from '../../utils/tls-fault.ts';
import { POSTGRES_TLS } from './connection-tls.ts';

const MIGRATE =
  'Run `npm run migrate`. If it finds nothing to do, this was dropped by hand or is outside the search_path of the role: restore it from a backup, or correct the search_path.';
const REJECTED_LOGIN = /^28...$/;
// The parser could not find a function. An operator that does not exist has the same SQLSTATE, and is a bug of Atlas.
const FUNCTION_MISSING = 'ParseFuncOrColumn';

/**
 * Returns what an operator must do about an error of PostgreSQL that retries cannot fix: a table, schema, function, or
 * database that is missing, a privilege that was not granted, a login or a certificate that is rejected. Null for any
 * other error.
 * `role` is the user that Atlas connects as, or empty if unknown.
 */
export function setupRemedy(error: unknown, role = ''): string | null {
  if (!(error instanceof Error)) return null;
  const { code = '', routine } = error as { code?: unknown; routine?: unknown };
  const named = role === '' ? 'the role of DATABASE_URL' : `the role "${role}"`;
  if (code === '42P01') return MIGRATE;
  if (code === '42883') return routine === FUNCTION_MISSING ? MIGRATE : null;
  if (code === '3F000')
    return `Create the schema, or correct the search_path of ${named}. Then run \`npm run migrate\`.`;
  if (code === '42501')
    return `Grant ${named} what is missing, as the owner of the object, for example: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${role === '' ? 'ROLE' : `"${role}"`};`;
  if (code === '3D000') return 'Create the database, or correct its name in DATABASE_URL.';
  if (REJECTED_LOGIN.test(String(code)))
    return `Correct the user and the password in DATABASE_URL, or allow ${named} to log in: see its attributes and pg_hba.conf.`;
  return tlsRemedy(error, POSTGRES_TLS);
}

/** Returns the user of a connection URL, or an empty string. */
export function roleOf(url: string): string {
  try {
    return decodeURIComponent(new URL(url).username);
  } catch {
    return '';
  }
}
