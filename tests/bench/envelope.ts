import { definePart } from './part.ts';
import type { Rounds } from './plan.ts';
import { residentMebibytes } from './support/cpu.ts';
import { startDatabase } from './support/database.ts';
import { CLIENT_SHARE_MAX, clientCoreText, type Load, load, SERVER_CORE } from './support/oha.ts';
import { inRepository, type Server, startServer } from './support/processes.ts';
import { progress } from './support/progress.ts';
import { startRedis } from './support/redis.ts';
import { alignedTable, count, decimal, median, percent } from './support/statistics.ts';
import { atLeast, atMost, type Target } from './targets.ts';

// A round counts only if the server was the bottleneck and its client was not.
const SERVER_SHARE_MIN = 0.95;
const WARM_UP_SECONDS = 1;
const PING_PATH = '/v1/ping';

const VARIANTS = {
  raw: { label: 'raw Bun.serve', script: ['servers/raw.ts'], keyed: false },
  bare: { label: 'Hono, bare', script: ['servers/hono-bare.ts'], keyed: false },
  usual: { label: 'Hono, usual middleware', script: ['servers/hono-usual.ts'], keyed: false },
  open: { label: 'Atlas in one process, no key', script: ['servers/layers.ts', 'open'], keyed: false },
  atlas: { label: 'atlas serve, key checked', script: ['../../src/main.ts', 'serve'], keyed: true },
  redis: { label: 'the same, permits in Redis', script: ['../../src/main.ts', 'serve'], keyed: true },
} as const;

type Variant = keyof typeof VARIANTS;
const variants = Object.keys(VARIANTS) as Variant[];

/** One variant over all rounds. A round with `counts` may be compared. */
export interface EnvelopeVariant {
  readonly label: string;
  readonly rounds: readonly (Load & { readonly counts: boolean })[];
  readonly requestsPerSecond: number;
  readonly residentMebibytes: number;
}

/** Requests per second on one core, by variant. */
interface EnvelopeResult {
  readonly variants: Readonly<Record<Variant, EnvelopeVariant>>;
}

/** Measures all variants in turn, each in a separate process on one core, with oha on the other. */
async function benchEnvelope({ rounds: times, seconds }: Rounds, oha: string): Promise<EnvelopeResult> {
  const database = await startDatabase();
  const redis = await startRedis();
  const servers = {} as Record<Variant, Server>;
  // One worker: the other servers are one process on one core.
  const one = { API_PORT: '0', API_WORKERS: '1' };
  const alone = { ENVIRONMENT: 'production', DATABASE_URL: database.url, ...one };
  for (const variant of variants) {
    const [script, ...args] = VARIANTS[variant].script;
    const command = [process.execPath, inRepository(`tests/bench/${script}`), ...args];
    const env = variant === 'redis' ? { ...alone, REDIS_URL: redis.url } : alone;
    servers[variant] = await startServer(command, { core: SERVER_CORE, env });
  }
  const measure = (variant: Variant, length: number) => {
    const { url, pid } = servers[variant];
    const headers = VARIANTS[variant].keyed ? [`Authorization: Bearer ${database.apiKey}`] : [];
    return load(oha, url + PING_PATH, pid, length, { headers });
  };
  for (const variant of variants) {
    progress(`envelope: warming up ${VARIANTS[variant].label}`);
    await measure(variant, WARM_UP_SECONDS);
  }
  const rounds = Object.fromEntries(variants.map((variant) => [variant, []])) as unknown as Record<
    Variant,
    (Load & { counts: boolean })[]
  >;
  for (let round = 0; round < times; round++) {
    // Each round starts with another variant, so that no variant always follows the same one.
    for (let i = 0; i < variants.length; i++) {
      const variant = variants[(i + round) % variants.length]!;
      const seen = await measure(variant, seconds);
      const counts = seen.serverShare >= SERVER_SHARE_MIN && seen.clientShare < CLIENT_SHARE_MAX;
      rounds[variant][round] = { ...seen, counts };
      const { label } = VARIANTS[variant];
      const cores = `server core ${percent(seen.serverShare)}, client core ${percent(seen.clientShare)}`;
      progress(
        `envelope: round ${round + 1}/${times}  ${label.padEnd(24)} ${count(seen.requestsPerSecond).padStart(8)}/s  ${cores}${counts ? '' : '  (does not count)'}`,
      );
    }
  }
  const results = {} as Record<Variant, EnvelopeVariant>;
  for (const variant of variants) {
    results[variant] = {
      label: VARIANTS[variant].label,
      rounds: rounds[variant],
      requestsPerSecond: median(rounds[variant].map((round) => round.requestsPerSecond)),
      residentMebibytes: residentMebibytes(servers[variant].pid),
    };
    await servers[variant].stop();
  }
  return { variants: results };
}

/** The ratio of two variants, as the median over the rounds. */
interface Comparison {
  /** Requests per second. NaN unless both count in more than half of the rounds. */
  readonly byRate: number;
  /** Requests per second of server CPU time. Valid even if the client was the bottleneck. */
  readonly byCpu: number;
}

function compare(upper: EnvelopeVariant, lower: EnvelopeVariant): Comparison {
  const pairs = upper.rounds.map((round, i) => [round, lower.rounds[i]!] as const);
  const counted = pairs.filter(([a, b]) => a.counts && b.counts);
  const byRate = median(counted.map(([a, b]) => a.requestsPerSecond / b.requestsPerSecond));
  return {
    byRate: counted.length > pairs.length / 2 ? byRate : Number.NaN,
    byCpu: median(pairs.map(([a, b]) => cpuMicros(b) / cpuMicros(a))),
  };
}

/** Returns the server CPU time per request, in microseconds. */
function cpuMicros({ serverShare, requestsPerSecond }: Load): number {
  return (serverShare / requestsPerSecond) * 1e6;
}

/** Formats the result as a table. */
function envelopeTable({ variants: results }: EnvelopeResult): string {
  const rows = variants.map((variant) => {
    const { label, rounds, requestsPerSecond, residentMebibytes: resident } = results[variant];
    const rates = rounds.map((round) => round.requestsPerSecond);
    return [
      label,
      count(requestsPerSecond),
      `${count(Math.min(...rates))}–${count(Math.max(...rates))}`,
      decimal(compare(results[variant], results.bare).byRate),
      decimal(compare(results[variant], results.usual).byRate),
      decimal(median(rounds.map(cpuMicros))),
      decimal(compare(results[variant], results.bare).byCpu),
      decimal(compare(results[variant], results.usual).byCpu),
      percent(median(rounds.map((round) => round.serverShare))),
      clientCoreText(median(rounds.map((round) => round.clientShare))),
      `${rounds.filter((round) => round.counts).length}/${rounds.length}`,
      `${count(resident)} MiB`,
    ];
  });
  const head = [
    'GET /v1/ping',
    'requests/s',
    'range',
    '÷ bare',
    '÷ usual',
    'CPU µs',
    '÷ bare',
    '÷ usual',
    'server core',
    'client core',
    'counted',
    'RSS',
  ];
  return alignedTable(head, rows);
}

const NOTE = `GET /v1/ping, server on core 0, oha with 64 connections on core 1. A round counts for a comparison of rates if the server's
core is ≥ 95 % busy and the client's < 90 %. Ratios are medians over the rounds. Those of CPU time (requests per processor
second of the server) are valid even if oha is the bottleneck, and have the targets.`;

const REDIS_LOSS_MAX = 0.01;

function envelopeTargets({ variants: { atlas, redis, bare, open, usual } }: EnvelopeResult): Target[] {
  // Differences of each round: both ran within seconds.
  const lost = bare.rounds.map(
    (round, i) =>
      cpuMicros(round) / cpuMicros(atlas.rounds[i]!) - cpuMicros(round) / cpuMicros(redis.rounds[i]!),
  );
  const name = 'keyed /v1/ping of atlas serve ÷ bare Hono, requests per processor second';
  return [
    atLeast(name, compare(atlas, bare).byCpu, 0.88),
    atMost('what permits in Redis take from it', median(lost), REDIS_LOSS_MAX, '', 3),
    atLeast('envelope ÷ Hono with its usual middleware', compare(open, usual).byCpu, 2.3),
  ];
}

/** What all protection costs, compared with servers that lack it. */
export const envelope = definePart({
  title: 'The envelope',
  note: NOTE,
  measure: async ({ plan, oha }) => benchEnvelope(plan.envelope, await oha()),
  tables: (result) => [envelopeTable(result)],
  targets: envelopeTargets,
});
