import type { BenchDatabase } from '../support/database.ts';
import { inRepository, type Server, startServer } from '../support/processes.ts';

/** Starts `atlas serve` with that number of workers on the database of the benchmark. */
export function startAtlas(
  workers: number,
  database: BenchDatabase,
  env: Readonly<Record<string, string>> = {},
): Promise<Server> {
  const settings = {
    ENVIRONMENT: 'production',
    DATABASE_URL: database.url,
    API_PORT: '0',
    API_WORKERS: String(workers),
    ...env,
  };
  return startServer([process.execPath, inRepository('src/main.ts'), 'serve'], { env: settings });
}
