import { cpuSeconds, familyCpuSeconds, shareOfCore } from '../support/cpu.ts';
import { CLIENT_CORE } from '../support/oha.ts';
import { type Running, type Server, start } from '../support/processes.ts';
import { readSamples, type SamplesByTier, TIER_MIX, TIERS } from './samples.ts';

/** Callers of all tiers together. A request that is due while all callers wait is sent late; the delay counts as latency. */
export const CALLERS = 2000;

/** The load to offer. */
export interface OpenLoopOptions {
  readonly oha: string;
  readonly server: Server;
  readonly ratePerSecond: number;
  readonly seconds: number;
  /** Distinguishes sets of clients that run at the same time. */
  readonly set?: string;
}

/** Returns the path that a set of clients uses for a tier. */
export function pathOf(tier: string, set = 'base'): string {
  return `/bench/${tier}?set=${set}`;
}

/**
 * Offers a fixed rate, however fast the server responds: one oha per tier, all on the client's core. Latency counts from
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

/** Runs one open loop to its end, and measures the cores it used. */
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
