import { cpuSeconds, familyCpuSeconds, shareOfCore } from './cpu.ts';
import { start } from './processes.ts';
import { percent } from './statistics.ts';

/** Server and client have a core each, so neither slows down the other. */
export const SERVER_CORE = 0;
export const CLIENT_CORE = 1;
/** A client whose core is busier may have been the bottleneck. */
export const CLIENT_SHARE_MAX = 0.9;
const CONNECTIONS = 64;
const OK = 200;

/** The result of one run of oha against one server. Shares are of one core. */
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

/** How to load a URL. By default: 64 callers without pauses that expect 200. */
export interface LoadOptions {
  readonly headers?: readonly string[];
  /** Number of callers, each with its own connection. */
  readonly connections?: number;
  /** Rate of all callers together. By default each sends its next request right after the response. */
  readonly ratePerSecond?: number;
  /** The only expected status. */
  readonly status?: number;
  /** The core of the client. Null lets the kernel choose. */
  readonly clientCore?: number | null;
}

/** Loads a URL from the client's core. Throws if a response has an unexpected status. */
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
  const { [status]: completed = 0, ...others } = statusCodeDistribution;
  if (completed === 0 || Object.keys(others).length > 0)
    throw new Error(`Expected only ${status} from ${url}, got ${JSON.stringify(statusCodeDistribution)}.`);
  const { p50, p95, p99 } = latencyPercentiles;
  const ms = { p50Ms: p50 * 1000, p95Ms: p95 * 1000, p99Ms: p99 * 1000 };
  return { requestsPerSecond: completed / summary.total, serverShare: server, clientShare: own, ...ms };
}

/** Formats the share of the client's core, marked (!) if the client may have been the bottleneck. */
export function clientCoreText(share: number): string {
  return `${percent(share)}${share > CLIENT_SHARE_MAX ? ' (!)' : ''}`;
}
