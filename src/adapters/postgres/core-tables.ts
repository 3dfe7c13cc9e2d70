import { AtlasError } from '../../errors.ts';
import type { Database } from './database.ts';
import { setupRemedy } from './setup-fault.ts';

/** The tables without which no payment can be posted, and the privileges that posting needs. */
const CORE_TABLES: Readonly<Record<string, readonly string[]>> = {
  api_keys: ['SELECT'],
  organizations: ['SELECT'],
  quotas: ['SELECT'],
  accounts: ['SELECT', 'INSERT', 'UPDATE'],
  transfers: ['SELECT', 'INSERT'],
  transfer_id_secret: ['SELECT'],
  idempotency_keys: ['SELECT', 'INSERT'],
  outbox: ['SELECT', 'INSERT'],
  limits: ['SELECT', 'UPDATE'],
};
const NAMES = Object.keys(CORE_TABLES);
const PRIVILEGES = ['SELECT', 'INSERT', 'UPDATE'];

const RETRY_AFTER_SECONDS = 10;

/**
 * Checks that the core tables exist and that the role of Atlas may use them. Throws `dependency_unavailable` with what
 * an operator must do, and otherwise like `Database.query`.
 */
export async function requireCoreTables(
  on: Pick<Database, 'query' | 'role'>,
  signal?: AbortSignal,
): Promise<void> {
  const rows = await on.query(
    (sql) => sql<{ name: string; exists: boolean; granted: boolean[] }[]>`
      SELECT name, oid IS NOT NULL AS exists,
             ARRAY(SELECT coalesce(has_any_column_privilege(oid, privilege), false)
                   FROM unnest(${PRIVILEGES}::text[]) AS privilege) AS granted
      FROM unnest(${NAMES}::text[]) AS name, LATERAL (SELECT to_regclass(name)::oid AS oid) AS found`,
    { signal },
  );
  const missing = rows.filter(({ exists }) => !exists).map(({ name }) => name);
  if (missing.length > 0) throw unusable(`Core tables are missing: ${missing.join(', ')}.`, '42P01', on.role);
  const forbidden = rows.flatMap(({ name, granted }) =>
    CORE_TABLES[name]!.filter((privilege) => !granted[PRIVILEGES.indexOf(privilege)]).map(
      (privilege) => `${privilege} on ${name}`,
    ),
  );
  if (forbidden.length > 0)
    throw unusable(`Privileges are missing: ${forbidden.join(', ')}.`, '42501', on.role);
}

/** The same error as that of a query that fails for this reason. */
function unusable(message: string, code: string, role: string): AtlasError {
  return new AtlasError('dependency_unavailable', message, {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
    remedy: setupRemedy(Object.assign(new Error(message), { code }), role)!,
  });
}
