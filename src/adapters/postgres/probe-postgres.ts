import postgres from 'postgres';
import { connectionTls } from './connection-tls.ts';
import { databaseErrorCode, isConnectionLoss } from './postgres.ts';
import { sessionSettings, withoutSettings } from './session-settings.ts';

const CONNECT_SECONDS = 1;
const TOO_MANY_CONNECTIONS = '53300';

/** Queries the server on a separate connection: those of the pool may be dead or busy. Rejects if it is unavailable. */
export async function probePostgres(url: string, signal: AbortSignal): Promise<void> {
  const { url: target, tls } = connectionTls(withoutSettings(url));
  const sql = postgres(target, {
    ...tls,
    max: 1,
    connect_timeout: CONNECT_SECONDS,
    fetch_types: false,
    onnotice: () => {},
    // Otherwise an idle timeout of the database could end it before its query.
    connection: { application_name: 'atlas probe', ...sessionSettings(0) },
  });
  const end = () => void sql.end({ timeout: 0 });
  signal.addEventListener('abort', end, { once: true });
  try {
    await sql`SELECT 1`.simple();
  } catch (error) {
    // A server that refuses the password is available.
    if (isServerUnavailable(error)) throw error;
  } finally {
    signal.removeEventListener('abort', end);
    end();
  }
}

/** Whether the error shows that the server is unavailable. One that is out of connections is not. */
export function isServerUnavailable(error: unknown): boolean {
  return isConnectionLoss(error) && databaseErrorCode(error) !== TOO_MANY_CONNECTIONS;
}
