import { definePart } from './part.ts';
import type { Rounds } from './plan.ts';
import { startDatabase } from './support/database.ts';
import { clientCoreText, load, SERVER_CORE } from './support/oha.ts';
import { inRepository, type Server, startServer } from './support/processes.ts';
import { progress } from './support/progress.ts';
import { startRedis } from './support/redis.ts';
import { alignedTable, decimal, median } from './support/statistics.ts';
import { atMost } from './targets.ts';

const PING_PATH = '/v1/ping';
const WARM_UP_SECONDS = 0.8;
// Far above what one core serves, so that nothing is refused.
const WITHIN = {
  QUOTA_KEY_REQUESTS_PER_SECOND: '1000000',
  QUOTA_KEY_CONCURRENT_REQUESTS: '10000',
};

const VARIANTS = {
  none: { label: 'no quota', quotas: {} },
  within: { label: 'inside its quota', quotas: WITHIN },
} as const;
type Variant = keyof typeof VARIANTS;
const variants = Object.keys(VARIANTS) as Variant[];

/** CPU time of a request in microseconds, by round. */
interface QuotasResult {
  readonly micros: Readonly<Record<Variant, readonly number[]>>;
  readonly clientShares: Readonly<Record<Variant, number>>;
}

async function measure({ rounds, seconds }: Rounds, oha: string): Promise<QuotasResult> {
  const database = await startDatabase();
  const redis = await startRedis();
  const env = {
    ENVIRONMENT: 'production',
    DATABASE_URL: database.url,
    REDIS_URL: redis.url,
    API_PORT: '0',
    API_WORKERS: '1',
  };
  const servers = {} as Record<Variant, Server>;
  for (const variant of variants) {
    const own = { ...env, REDIS_PREFIX: variant, ...VARIANTS[variant].quotas };
    const command = [process.execPath, inRepository('src/main.ts'), 'serve'];
    servers[variant] = await startServer(command, { core: SERVER_CORE, env: own });
  }
  const headers = [`Authorization: Bearer ${database.apiKey}`];
  const run = ({ url, pid }: Server, length: number) => load(oha, url + PING_PATH, pid, length, { headers });
  for (const variant of variants) await run(servers[variant], WARM_UP_SECONDS);
  const micros: Record<Variant, number[]> = { none: [], within: [] };
  const clients: Record<Variant, number[]> = { none: [], within: [] };
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < variants.length; i++) {
      const variant = variants[(i + round) % variants.length]!;
      const { serverShare, clientShare, requestsPerSecond } = await run(servers[variant], seconds);
      micros[variant].push((serverShare / requestsPerSecond) * 1e6);
      clients[variant].push(clientShare);
    }
    progress(`quotas: round ${round + 1}/${rounds}`);
  }
  return { micros, clientShares: { none: median(clients.none), within: median(clients.within) } };
}

/** Median of the ratios of each round. */
function ratioOf({ micros }: QuotasResult): number {
  return median(micros.within.map((value, round) => value / micros.none[round]!));
}

/** What a quota costs a request that is inside it. */
export const quotas = definePart({
  title: 'Quotas',
  note: `GET /v1/ping with a key, whose requests per second and concurrent requests have a limit that is not reached, or none. One worker of
atlas serve on core 0, oha and Redis on core 1. CPU time of the server, in turn in each round.`,
  measure: async ({ plan, oha }) => measure(plan.quotas, await oha()),
  tables: (result) => [
    alignedTable(
      ['GET /v1/ping', 'CPU µs', 'range', 'client core'],
      variants.map((variant) => [
        VARIANTS[variant].label,
        decimal(median(result.micros[variant])),
        `${decimal(Math.min(...result.micros[variant]))}–${decimal(Math.max(...result.micros[variant]))}`,
        clientCoreText(result.clientShares[variant]),
      ]),
    ),
  ],
  targets: (result) => [
    atMost('a request inside its quota ÷ without a quota, CPU time', ratioOf(result), 1.03, '', 3),
  ],
});
