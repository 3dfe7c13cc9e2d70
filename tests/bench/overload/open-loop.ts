import { cpuSeconds, familyCpuSeconds, shareOfCore } from '../support/cpu.ts';
import { CLIENT_CORE } from '../support/oha.ts';
import { type Running, type Server, start } from '../support/processes.ts';
import { readSamples, type SamplesByTier, TIER_MIX, TIERS } from './samples.ts';

/** Callers of all tiers together; what is due while all of them wait is sent late, and its wait counts as latency. */
export const CALLERS = 2000;

/** What the open loop asks and what it measures beside. */
export interface OpenLoopOptions {
  readonly oha: string;
  readonly server: Server;
  readonly ratePerSecond: number;
  readonly seconds: number;
  /** Tells this set of clients from another one that runs at the same time. */
  readonly set?: string;
}

/** The paths of one set of clients, by tier. */
export function pathOf(tier: string, set = 'base'): string {
  return `/bench/${tier}?set=${set}`;
}

/**
 * Offers a fixed rate whatever the server answers: one oha for each tier, all on the client's core. Latency counts from
 * when a request was due (no coordinated omission: Gil Tene, "How NOT to Measure Latency").
 */
export function startOpenLoop({ oha, server, ratePerSecond, seconds, set }: OpenLoopOptions): {
  readonly pids: readonly number[];
  readonly samples: Promise<SamplesByTier>;
} {
  const clients = TIERS.map((tier): Running => {
    const options = ['--no-tui', '--output-format', 'csv', '--worker-threads', '1', '--latency-correction'];
    const rate = ['-q', String(ratePerSecond * TIER_MIX[tier]), '-z', `${seconds}s`];
    const callers = ['-c', String(Math.round(CALLERS * TIER_MIX[tier]))];
    return start([oha, ...options, ...rate, ...callers, server.url + pathOf(tier, set)], {
      core: CLIENT_CORE,
    });
  });
  const samples = Promise.all(clients.map(({ output }) => output)).then(
    (texts) =>
      Object.fromEntries(TIERS.map((tier, i) => [tier, readSamples(texts[i]!)])) as unknown as SamplesByTier,
  );
  return { pids: clients.map(({ pid }) => pid), samples };
}

/** Cores used in the middle of a run. */
export interface Shares {
  readonly server: number;
  readonly client: number;
  readonly postgres: number;
}

/** Runs one open loop to its end and tells what it took of the machine. */
export async function runOpenLoop(
  options: OpenLoopOptions & { readonly databasePid: number },
): Promise<{ samples: SamplesByTier; shares: Shares }> {
  const { pids, samples } = startOpenLoop(options);
  const shares = shareOfCore(options.seconds * 1000, {
    server: () => cpuSeconds(options.server.pid),
    client: () => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0),
    postgres: () => familyCpuSeconds(options.databasePid),
  });
  const [seen, used] = await Promise.all([samples, shares]);
  return { samples: seen, shares: used };
}
