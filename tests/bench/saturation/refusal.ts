import { until } from '../../support/until.ts';
import type { LoadReport, RequestKind } from '../load/order.ts';
import { runLoad } from '../load/run-load.ts';
import { startVariant, statsOf } from '../overload/variants.ts';
import { HOLD_PATH } from '../servers/overload-stats.ts';
import type { BenchDatabase } from '../support/database.ts';
import { CLIENT_CORE } from '../support/oha.ts';

const CALLERS = 64;
const ACCOUNTS = 1000;
const WARM_UP_SECONDS = 1;

/** An Atlas whose only permit is held by a request that does not end: it refuses all that may be refused. */
export interface FullServer {
  /** Loads it with one kind of request. Returns the CPU time of one in microseconds, and what the client saw. */
  cost(kind: RequestKind, seconds: number): Promise<{ micros: number; report: LoadReport }>;
  stop(): Promise<void>;
}

/** Starts a full Atlas on the server's core. */
export async function startFullServer(database: BenchDatabase): Promise<FullServer> {
  const env = { LOAD_SHEDDING_MAX_CONCURRENT: '1', HTTP_TIMEOUT: '240' };
  const server = await startVariant('atlas', 'database', database, { env });
  const holder = new AbortController();
  const held = fetch(server.url + HOLD_PATH, { signal: holder.signal }).catch(() => {});
  await until(async () => (await statsOf(server)).inFlight > 0);
  return {
    async cost(kind, seconds) {
      const report = await runLoad(database, {
        url: server.url,
        accounts: ACCOUNTS,
        streams: [{ name: kind, kind, share: 1 }],
        callers: CALLERS,
        ratePerSecond: null,
        warmUpSeconds: WARM_UP_SECONDS,
        seconds,
        processes: { atlas: server.pid, postgres: database.pid },
        core: CLIENT_CORE,
      });
      const { served, refused } = report.arrived;
      if (Math.min(served, refused) > 0 || report.unknown > 0)
        throw new Error(`Expected only one status for ${kind}, got ${JSON.stringify(report.statuses)}.`);
      const used = report.shares.atlas! + report.shares.postgres!;
      return { micros: (used / (served + refused)) * 1e6, report };
    },
    async stop() {
      holder.abort();
      await held;
      await server.stop();
    },
  };
}
