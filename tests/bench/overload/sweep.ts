import type { Tier } from '../../../src/utils/tier.ts';
import type { BenchDatabase } from '../support/database.ts';
import type { Server } from '../support/processes.ts';
import { progress } from '../support/progress.ts';
import { count, decimal, median, percent } from '../support/statistics.ts';
import { runOpenLoop, type Shares } from './open-loop.ts';
import { TIERS } from './samples.ts';
import { OBJECTIVE_MS, type Summary, summarize } from './summary.ts';
import { statsOf, untilIdle, VARIANTS, type Variant, variants } from './variants.ts';

/** The start of a run is about settling, which is measured separately. */
const WARM_UP_MS = 1000;
const POLL_MS = 50;

/** One variant under one load, as the median over the rounds. */
export interface Point extends Summary, Shares {
  readonly variant: Variant;
  /** Offered load ÷ capacity. */
  readonly load: number;
  /** Means of the requests in flight and of the limit of the server. The limit is NaN if it has none. */
  readonly inFlight: number;
  readonly limit: number;
  readonly rounds: readonly Summary[];
}

/** A sweep runs every variant under every load, in turn. */
export interface Sweep {
  readonly name: string;
  readonly oha: string;
  readonly database: BenchDatabase;
  readonly servers: Readonly<Record<Variant, Server>>;
  readonly capacityPerSecond: number;
  readonly loads: readonly number[];
  readonly rounds: number;
  readonly seconds: number;
}

type Round = Summary & Shares & { readonly inFlight: number; readonly limit: number };

/** Runs a sweep. Each round starts with another variant, so that no variant always follows the same one. */
export async function sweep(options: Sweep): Promise<Point[]> {
  const measured = new Map<string, Round[]>();
  for (let round = 0; round < options.rounds; round++) {
    for (const load of options.loads) {
      for (let i = 0; i < variants.length; i++) {
        const variant = variants[(i + round) % variants.length]!;
        const seen = await measure(options, variant, load);
        const key = `${variant} ${load}`;
        measured.set(key, [...(measured.get(key) ?? []), seen]);
        progress(
          `${options.name}: round ${round + 1}/${options.rounds}  ${`${load} ×`.padStart(5)}  ${VARIANTS[variant].padEnd(20)} ${describeRound(seen)}`,
        );
      }
    }
  }
  return variants.flatMap((variant) =>
    options.loads.map((load) => middle(variant, load, measured.get(`${variant} ${load}`)!)),
  );
}

async function measure(options: Sweep, variant: Variant, load: number): Promise<Round> {
  const { oha, database, seconds } = options;
  const server = options.servers[variant];
  await untilIdle(server, database);
  const ratePerSecond = load * options.capacityPerSecond;
  const polls: { inFlight: number; limit: number }[] = [];
  const startMs = performance.now();
  const polling = setInterval(async () => {
    if (performance.now() - startMs < WARM_UP_MS) return;
    const { inFlight, limit } = await statsOf(server).catch(() => ({ inFlight: Number.NaN, limit: null }));
    polls.push({ inFlight, limit: limit ?? Number.NaN });
  }, POLL_MS);
  try {
    const run = { oha, server, ratePerSecond, seconds, databasePid: database.pid };
    const { samples, shares } = await runOpenLoop(run);
    const window = { fromMs: WARM_UP_MS, untilMs: seconds * 1000 - OBJECTIVE_MS, ratePerSecond };
    const during = polls.filter(({ inFlight }) => Number.isFinite(inFlight));
    const mean = (read: (poll: { inFlight: number; limit: number }) => number) =>
      during.reduce((sum, poll) => sum + read(poll), 0) / during.length;
    return {
      ...summarize(samples, window),
      ...shares,
      inFlight: mean((poll) => poll.inFlight),
      limit: mean((poll) => poll.limit),
    };
  } finally {
    clearInterval(polling);
  }
}

function middle(variant: Variant, load: number, rounds: readonly Round[]): Point {
  const of = (read: (round: Round) => number) => median(rounds.map(read));
  const success = TIERS.map((tier) => [tier, of((round) => round.success[tier])]);
  return {
    variant,
    load,
    goodput: of((round) => round.goodput),
    p50Ms: of((round) => round.p50Ms),
    p99Ms: of((round) => round.p99Ms),
    refusedPerSecond: of((round) => round.refusedPerSecond),
    unansweredPerSecond: of((round) => round.unansweredPerSecond),
    success: Object.fromEntries(success) as Record<Tier, number>,
    server: of((round) => round.server),
    client: of((round) => round.client),
    postgres: of((round) => round.postgres),
    inFlight: of((round) => round.inFlight),
    limit: of((round) => round.limit),
    rounds,
  };
}

function describeRound({ goodput, p99Ms, success, server, client }: Round): string {
  const tiers = TIERS.map((tier) => percent(success[tier]).padStart(5)).join(' ');
  return `good ${count(goodput).padStart(5)}/s  P99 ${decimal(p99Ms, 0).padStart(5)} ms  tiers ${tiers}  server ${percent(server)}, client ${percent(client)}`;
}
