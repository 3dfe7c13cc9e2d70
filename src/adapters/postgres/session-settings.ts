import type { Database } from './database.ts';
import type { PostgresOptions } from './postgres.ts';

/**
 * The settings of a session that Atlas relies on. They are part of the startup message, which costs no round trip and
 * takes precedence over the settings of a server, a database, or a role (`ALTER DATABASE … SET`).
 */
const SESSION_SETTINGS: Readonly<Record<string, string>> = {
  // What is read: the driver parses these formats and no other.
  bytea_output: 'hex',
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  extra_float_digits: '1',
  client_encoding: 'UTF8',
  // What a query means.
  search_path: '"$user", public',
  standard_conforming_strings: 'on',
  backslash_quote: 'safe_encoding',
  array_nulls: 'on',
  transform_null_equals: 'off',
  xmloption: 'content',
  quote_all_identifiers: 'off',
  gin_fuzzy_search_limit: '0',
  // An error is better than rows that a policy hides.
  row_security: 'off',
  // What a transaction guarantees: a response of 2xx is on disk.
  default_transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
  synchronous_commit: 'on',
  // What ends a session or a statement, besides the limits of Atlas itself.
  lock_timeout: '0',
  idle_session_timeout: '0',
  exit_on_error: 'off',
  // How queries are planned: for short ones, compiling costs more than it saves.
  plan_cache_mode: 'auto',
  jit: 'off',
};

/** A deployment may choose these in the URL: where its tables are, and how many servers must have a commit. */
const CHOSEN_IN_URL = ['search_path', 'synchronous_commit'];
// A statement that any of these interrupts has an effect that Atlas does not expect.
const UNSET_LIMIT = '0';
// As many statements of DATABASE_TIMEOUT as a transaction may have.
const TRANSACTION_STATEMENTS = 6;

/** Returns the settings of a session whose statements may take `timeoutSeconds` each, or any time if that is 0. */
export function sessionSettings(timeoutSeconds: number): Record<string, string> {
  const timeoutMs = String(Math.round(timeoutSeconds * 1000));
  return {
    ...SESSION_SETTINGS,
    statement_timeout: timeoutMs,
    // A stopped process or a lost host must not keep the locks of its transaction.
    idle_in_transaction_session_timeout: timeoutMs,
  };
}

/** Removes parameters from a URL that would replace a setting of the session: the driver sends them last. */
export function withoutSettings(url: string): string {
  const parameters = parametersOf(url);
  if (parameters.length === 0) return url;
  const own = new Set(Object.keys(sessionSettings(0)).map((name) => name.toLowerCase()));
  for (const name of CHOSEN_IN_URL) own.delete(name);
  const left = parameters.filter((part) => !own.has(nameOf(part)));
  const [base] = url.split('?', 1);
  return left.length === 0 ? base! : `${base}?${left.join('&')}`;
}

function parametersOf(url: string): string[] {
  const [, query] = url.split('?', 2);
  return query ? query.split('&') : [];
}

function nameOf(parameter: string): string {
  const [name = ''] = parameter.split('=', 1);
  return name.toLowerCase();
}

/**
 * Checks that the session has these settings. Throws an Error with a remedy if not: a pooler may drop them, and some
 * can be set only on the server. Throws like `Database.query`.
 */
export async function requireSession(
  on: Pick<Database, 'query'>,
  { url, timeoutSeconds }: Pick<PostgresOptions, 'url' | 'timeoutSeconds'>,
): Promise<void> {
  const expected = sessionSettings(timeoutSeconds);
  const chosen = CHOSEN_IN_URL.filter((name) => parametersOf(url).some((part) => nameOf(part) === name));
  const names = [...Object.keys(expected), 'transaction_timeout', 'session_replication_role'];
  const found = await on.query(
    (sql) => sql<{ name: string; setting: string }[]>`
      SELECT name, setting FROM pg_settings WHERE name = ANY (${names})`,
  );
  const settings = new Map(found.map(({ name, setting }) => [name, setting]));
  const dropped = Object.entries(expected)
    .filter(([name, value]) => !isAccepted(name, value, settings.get(name), chosen))
    .map(([name, value]) => `${name} is ${settings.get(name) ?? 'unknown'} instead of ${value}`);
  if (dropped.length > 0) {
    throw new Error(
      `PostgreSQL ignores settings that Atlas relies on.\n  why:  ${dropped.join(', ')}; a pooler between Atlas and the server may have dropped them\n  do:   set DATABASE_URL to the server itself, or let the pooler pass the parameters of a session on`,
    );
  }
  requireServerSettings(settings, timeoutSeconds);
}

function isAccepted(
  name: string,
  expected: string,
  found: string | undefined,
  chosen: readonly string[],
): boolean {
  if (!chosen.includes(name)) return found === expected;
  // Every other level keeps a commit on the disk of the server.
  return name !== 'synchronous_commit' || found !== 'off';
}

/** Checks the settings that a session cannot set itself, on every version and as any user. */
function requireServerSettings(settings: ReadonlyMap<string, string>, timeoutSeconds: number): void {
  const limit = settings.get('transaction_timeout') ?? UNSET_LIMIT;
  const needed = TRANSACTION_STATEMENTS * timeoutSeconds * 1000;
  const role = settings.get('session_replication_role');
  const problem =
    limit !== UNSET_LIMIT && Number(limit) < needed
      ? ['transaction_timeout', `is ${limit} ms, and a transaction may take ${needed} ms`]
      : role !== undefined && role !== 'origin'
        ? ['session_replication_role', `is ${role}, which turns constraints and triggers off`]
        : null;
  if (problem === null) return;
  const [name, why] = problem;
  throw new Error(
    `PostgreSQL has a setting that Atlas cannot run with.\n  why:  ${name} ${why}\n  do:   remove it: ALTER DATABASE … RESET ${name}, ALTER ROLE … RESET ${name}, or in postgresql.conf`,
  );
}
