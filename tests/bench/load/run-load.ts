import { type BenchDatabase, resetLedger, verifyLedger } from '../support/database.ts';
import { inRepository, start } from '../support/processes.ts';
import type { LoadOrder, LoadReport } from './order.ts';

/** What differs between the loads of a benchmark. */
export type LoadRequest = Omit<LoadOrder, 'run' | 'apiKey'> & {
  /** The core of the client. By default the kernel chooses. */
  readonly core?: number;
};

let runs = 0;

/**
 * Loads a server from a client process, on a ledger without transfers. Throws unless the database then holds one transfer,
 * or one more account, for each 201, and the ledger is consistent. Requests whose outcome the client does not know may have
 * taken effect or not.
 */
export async function runLoad(
  database: BenchDatabase,
  { core, ...request }: LoadRequest,
): Promise<LoadReport> {
  await resetLedger(database.sql, request.accounts);
  const order: LoadOrder = { ...request, apiKey: database.apiKey, run: `run${++runs}` };
  const command = [process.execPath, inRepository('tests/bench/load/client.ts'), JSON.stringify(order)];
  const report = JSON.parse(await start(command, { core }).output) as LoadReport;
  const posted = await verifyLedger(database.database);
  const [{ accounts }] = await database.sql<[{ accounts: number }]>`
    SELECT count(*)::int AS accounts FROM accounts`;
  const made = posted + accounts - request.accounts;
  const { created, unknown } = report;
  if (made < created || made > created + unknown)
    throw new Error(
      `Atlas returned ${created} times 201 (and ${unknown} unknown outcomes), but the database holds ${posted} transfers and ${accounts} accounts.`,
    );
  return report;
}
