import { cpuSeconds, familyCpuSeconds, shareOfCore } from './cpu.ts';
import { start } from './processes.ts';

/** The core of the server and the core of its client: each has its own, so neither slows the other. */
export const SERVER_CORE = 0;
export const CLIENT_CORE = 1;
const CONNECTIONS = 64;
const OK = 200;

/** What one run of oha against one server told. Shares are of one core. */
export interface Load {
  readonly requestsPerSecond: number;
  readonly serverShare: number;
  readonly clientShare: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

interface OhaReport {
  readonly summary: { readonly total: number };
  /** In seconds. */
  readonly latencyPercentiles: Readonly<Record<'p50' | 'p95' | 'p99', number>>;
  readonly statusCodeDistribution: Readonly<Record<string, number>>;
}

/** How a URL is loaded; left out, by 64 callers without a pause who expect a 200. */
export interface LoadOptions {
  readonly headers?: readonly string[];
  /** Callers, each on a connection of its own. */
  readonly connections?: number;
  /** All of them together; left out, each asks again as soon as it is answered. */
  readonly ratePerSecond?: number;
  /** The one status that is expected. */
  readonly status?: number;
  /** The core of the client; null leaves it to the kernel. */
  readonly clientCore?: number | null;
}

/** Loads a URL from the client's core. Throws when an answer had another status than the expected one. */
export async function load(
  oha: string,
  url: string,
  serverPid: number | readonly number[],
  seconds: number,
  {
    headers = [],
    connections = CONNECTIONS,
    ratePerSecond,
    status = OK,
    clientCore = CLIENT_CORE,
  }: LoadOptions = {},
): Promise<Load> {
  const options = ['--no-tui', '--output-format', 'json', '--worker-threads', '1'];
  const paced = ratePerSecond === undefined ? [] : ['-q', String(ratePerSecond), '--latency-correction'];
  const command = [oha, ...options, ...paced, '-c', String(connections), '-z', `${seconds}s`];
  const servers = [serverPid].flat();
  const client = start([...command, ...headers.flatMap((header) => ['-H', header]), url], {
    core: clientCore ?? undefined,
  });
  const shares = shareOfCore(seconds * 1000, {
    server: () => servers.reduce((sum, pid) => sum + familyCpuSeconds(pid), 0),
    client: () => cpuSeconds(client.pid),
  });
  const [{ server, client: own }, text] = await Promise.all([shares, client.output]);
  const { summary, latencyPercentiles, statusCodeDistribution } = JSON.parse(text) as OhaReport;
  const { [status]: answered = 0, ...others } = statusCodeDistribution;
  if (answered === 0 || Object.keys(others).length > 0)
    throw new Error(
      `${url} answered ${JSON.stringify(statusCodeDistribution)} where only ${status} was expected.`,
    );
  const { p50, p95, p99 } = latencyPercentiles;
  const ms = { p50Ms: p50 * 1000, p95Ms: p95 * 1000, p99Ms: p99 * 1000 };
  return { requestsPerSecond: answered / summary.total, serverShare: server, clientShare: own, ...ms };
}
