import { tlsRemedy } from '../../utils/tls-fault.ts';
import { POSTGRES_TLS } from './connection-tls.ts';
import { databaseErrorCode, openPostgres, type Sql } from './postgres.ts';

const VERSION_MIN = 150_000;
const ENCODING = 'UTF8';
const UNKNOWN_PARAMETER = '42704';
const NO_TLS = 'the server closed the connection when it was asked for TLS';
const POOLERS = 'docs/runbooks/004-several-hosts-and-releases.md#poolers';

/**
 * Checks that the server, or the pooler in front of it, is one that Atlas can run on. Throws an Error with a remedy if
 * not, and the error of the driver if it cannot be reached.
 */
export async function requireServer(url: string, timeoutSeconds: number): Promise<void> {
  const open = () => openPostgres({ url, connectionsMax: 1, timeoutSeconds, readsArrays: false });
  const [one, other] = [open(), open()];
  const late = Promise.withResolvers<never>();
  // A pooler without a free connection keeps a client waiting, and the driver waits for as long as it does.
  const timer = setTimeout(() => late.reject(noConnection(timeoutSeconds)), timeoutSeconds * 1000);
  const checks = requireEncoding(one).then(() => requireOwnSession(one, other));
  try {
    await Promise.race([checks, late.promise]);
  } catch (error) {
    throw explain(error);
  } finally {
    clearTimeout(timer);
    await Promise.all([one.end({ timeout: 0 }), other.end({ timeout: 0 })]);
    // If they still run, they fail now that their connections have ended.
    await checks.catch(() => {});
  }
}

function noConnection(timeoutSeconds: number): Error {
  return problem(
    'PostgreSQL has no connection left for Atlas.',
    `it did not respond on two connections within ${timeoutSeconds} s, as a pooler does whose pool is used up`,
    `raise the size of the pool, or set DATABASE_URL to the server itself: ${POOLERS}`,
  );
}

async function requireEncoding(sql: Sql): Promise<void> {
  const [{ version, encoding, name }] = await sql<[{ version: number; encoding: string; name: string }]>`
    SELECT current_setting('server_version_num')::int AS version, current_setting('server_encoding') AS encoding,
           current_database() AS name`;
  if (version < VERSION_MIN)
    throw problem(
      'PostgreSQL is too old.',
      `Atlas needs PostgreSQL 15 or newer, and this is ${Math.floor(version / 10_000)}`,
      'set DATABASE_URL to a newer server',
    );
  if (encoding !== ENCODING)
    throw problem(
      `The database ${name} cannot store every text.`,
      `its encoding is ${encoding}, and Atlas needs ${ENCODING}`,
      `create another one and set DATABASE_URL to it: CREATE DATABASE atlas ENCODING 'UTF8' TEMPLATE template0`,
    );
}

/**
 * Checks that each connection has its own session. A pooler in transaction mode lends one session to several clients:
 * either the second one gets that of the first, or the first one does not get it back.
 */
async function requireOwnSession(one: Sql, other: Sql): Promise<void> {
  const first = await sessionOf(one);
  const isShared = await other.begin(
    async (transaction) =>
      (await sessionOf(transaction as unknown as Sql)) === first || (await sessionOf(one)) !== first,
  );
  if (!isShared) return;
  throw problem(
    'The pooler in front of PostgreSQL is in transaction mode.',
    'locks, settings, and prepared statements belong to a session, which several clients share there',
    `set DATABASE_URL to the server itself, or set pool_mode = session: ${POOLERS}`,
  );
}

async function sessionOf(sql: Sql): Promise<number> {
  const [{ pid }] = await sql<[{ pid: number }]>`SELECT pg_backend_pid() AS pid`;
  return pid;
}

/** Explains the refusal of what the driver sends when it connects. */
function explain(error: unknown): unknown {
  const text = error instanceof Error ? error.message : '';
  const refused = /unsupported startup parameter:? ?(?:in options: )?(\S+)/.exec(text)?.[1];
  if (refused !== undefined)
    return problem(
      'The pooler in front of PostgreSQL refuses the settings of a session.',
      `it does not accept ${refused}, which Atlas relies on`,
      `set DATABASE_URL to the server itself, or prepare the pooler: ${POOLERS}`,
      error,
    );
  if (databaseErrorCode(error) === UNKNOWN_PARAMETER)
    return problem(
      'DATABASE_URL has a parameter that PostgreSQL does not know.',
      text,
      'remove it from DATABASE_URL',
      error,
    );
  if (/secure TLS connection/.test(text))
    return problem(
      'PostgreSQL offers no TLS.',
      `${NO_TLS}, and sslmode demands it`,
      'turn ssl on there, or remove sslmode',
      error,
    );
  const remedy = tlsRemedy(error, POSTGRES_TLS);
  if (remedy !== null) return problem('The certificate of PostgreSQL is not accepted.', text, remedy, error);
  return error;
}

function problem(what: string, why: string, remedy: string, cause?: unknown): Error {
  return new Error(`${what}\n  why:  ${why}\n  do:   ${remedy}`, { cause });
}
