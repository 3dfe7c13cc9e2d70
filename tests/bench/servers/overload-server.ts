import type { Database } from '../../../src/adapters/postgres/database.ts';
import { createApp } from '../../../src/app.ts';
import { loadConfig } from '../../../src/config.ts';
import { openDeps } from '../../../src/deps.ts';
import { createEnvelope } from '../../../src/envelope/envelope.ts';
import type { Exchange, Middleware } from '../../../src/envelope/exchange.ts';
import type { RouteTable } from '../../../src/http/route.ts';
import { createLogger } from '../../../src/instrumentation/logger.ts';
import type { Tier } from '../../../src/utils/tier.ts';
import { Slots } from './overload-slots.ts';
import { FIXED_LIMIT, HOLD_PATH, type OverloadStats, STATS_PATH } from './overload-stats.ts';

const SLOTS = 20;
const SLOT_MS = 20;
const QUERY_SECONDS = 0.02;
const URLS_MAX = 100;
const PATHS: Readonly<Record<string, Tier>> = {
  '/bench/critical': 'critical',
  '/bench/default': 'default',
  '/bench/non-critical': 'non-critical',
  [HOLD_PATH]: 'critical',
};

// Usage: overload-server.ts none|fixed|atlas database|slots [port]. Every variant is the whole Atlas with the same routes
// added. The variants differ only in what may refuse those routes.
const [variant = 'atlas', bottleneck = 'database', port = '0'] = process.argv.slice(2);
const { config } = loadConfig();
const deps = await openDeps(config, createLogger(config));
const work = bottleneck === 'slots' ? slotWork() : databaseWork(deps.database);
let inFlight = 0;

/** A query over the pool, as a repository runs it: canceled when the caller disconnects. */
function databaseWork(database: Database): (exchange: Exchange) => Promise<unknown> {
  return ({ signal }) => database.query((sql) => sql`SELECT pg_sleep(${QUERY_SECONDS})`, { signal });
}

/** A resource inside the handler, invisible from outside: the case in which all known alternatives fail. */
function slotWork(): () => Promise<void> {
  const slots = new Slots(SLOTS);
  return () => slots.hold(SLOT_MS);
}

function untilAborted({ signal }: Exchange): Promise<void> {
  return new Promise((end) => signal.addEventListener('abort', () => end(), { once: true }));
}

function mountBenchRoutes(routes: RouteTable): void {
  for (const [path, tier] of Object.entries(PATHS)) {
    const words = { operationId: path, summary: 'A benchmark route', tag: 'Benchmark' };
    const facts = { tier, scope: null, resource: 'database', sheddable: variant === 'atlas' } as const;
    const run = path === HOLD_PATH ? untilAborted : work;
    routes.mount({ method: 'get', path, ...words, ...facts, responses: {} }, async ({ exchange }) => {
      inFlight++;
      try {
        await run(exchange);
        return Response.json({ done: true });
      } finally {
        inFlight--;
      }
    });
  }
}

const fixedLimit: Middleware = (next) => (request, exchange) =>
  inFlight >= FIXED_LIMIT && exchange.route.pattern in PATHS
    ? new Response('full', { status: 429 })
    : next(request, exchange);

const atlas = createApp(deps, mountBenchRoutes);
const envelope = createEnvelope(
  variant === 'fixed' ? [...atlas.layers, fixedLimit] : atlas.layers,
  atlas.enter,
  atlas.resolved.resolve,
);

const firstMs = new Map<string, number>();
function stats(): OverloadStats {
  const limit = variant === 'none' ? null : variant === 'fixed' ? FIXED_LIMIT : limitOf('database');
  return { inFlight, limit, firstMs: Object.fromEntries(firstMs) };
}

function limitOf(resource: string): number | null {
  return atlas.admission.stats().resources.find(({ name }) => name === resource)?.limit ?? null;
}

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: Number(port),
  reusePort: port !== '0',
  idleTimeout: 60,
  fetch: (request) => {
    const { url } = request;
    if (!firstMs.has(url)) {
      if (url.includes(STATS_PATH)) {
        const seen = stats();
        if (url.endsWith('?reset')) firstMs.clear();
        return Response.json(seen);
      }
      if (firstMs.size < URLS_MAX) firstMs.set(url, performance.now());
    }
    return envelope(request);
  },
});
console.log(`listening on http://127.0.0.1:${server.port}`);
