import { until } from '../../support/until.ts';
import { FIXED_LIMIT, type OverloadStats, STATS_PATH } from '../servers/overload-stats.ts';
import type { BenchDatabase } from '../support/database.ts';
import { SERVER_CORE } from '../support/oha.ts';
import { inRepository, type Server, startServer } from '../support/processes.ts';

/** The variants to compare, and their labels. */
export const VARIANTS = {
  none: 'no shedding',
  fixed: `fixed limit of ${FIXED_LIMIT.toLocaleString('en-US')}`,
  atlas: 'Atlas',
} as const;

export type Variant = keyof typeof VARIANTS;
export const variants = Object.keys(VARIANTS) as readonly Variant[];

/** What limits the routes: a pool of 20 connections with queries of 20 ms, or 20 slots inside the handler. */
export type Bottleneck = 'database' | 'slots';

/** Connections of the pool. With queries of 20 ms: about a thousand per second. */
export const POOL_SIZE = 20;

/** Starts the server of a variant on the server's core. Several of them can share a port. */
export function startVariant(
  variant: Variant,
  bottleneck: Bottleneck,
  database: BenchDatabase,
  { port, env = {} }: { port?: number; env?: Readonly<Record<string, string>> } = {},
): Promise<Server> {
  const script = inRepository('tests/bench/servers/overload-server.ts');
  const settings = {
    ENVIRONMENT: 'production',
    LOG_LEVEL: 'fatal',
    DATABASE_URL: database.url,
    DATABASE_POOL_SIZE: String(POOL_SIZE),
    DATABASE_MAX_OVERFLOW: '0',
    ...env,
  };
  const args = port === undefined ? [] : [String(port)];
  return startServer([process.execPath, script, variant, bottleneck, ...args], {
    core: SERVER_CORE,
    env: settings,
  });
}

/** Returns the stats of a server. With `reset`, the server then forgets which paths it has seen. */
export async function statsOf(server: Server, reset = false): Promise<OverloadStats> {
  const response = await fetch(`${server.url}${STATS_PATH}${reset ? '?reset' : ''}`);
  return (await response.json()) as OverloadStats;
}

const IDLE_TIMEOUT_MS = 60_000;
const POLL_MS = 50;
const QUIET_POLLS = 6;

/**
 * Waits until a server and PostgreSQL have finished the work that an earlier run left behind. Throws after a minute.
 *
 * When oha exits, its queries are cancelled, each over a separate connection. A cancel request that arrives late hits the
 * next query on its connection. So nothing is measured until PostgreSQL has been quiet for a while.
 */
export async function untilIdle(server: Server, { sql }: BenchDatabase): Promise<void> {
  let quietPolls = 0;
  await until(
    async () => {
      const [active] = await sql<[{ queries: number }]>`
        SELECT count(*) AS queries FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND state = 'active' AND pid <> pg_backend_pid()`;
      const isIdle = active.queries === 0 && (await statsOf(server)).inFlight === 0;
      quietPolls = isIdle ? quietPolls + 1 : 0;
      return quietPolls === QUIET_POLLS;
    },
    { deadlineMs: IDLE_TIMEOUT_MS, pollMs: POLL_MS, what: 'the benchmarked server is idle' },
  );
}
