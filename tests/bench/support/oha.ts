import { cpuSeconds, shareOfCore } from './cpu.ts';
import { start } from './processes.ts';

/** The core of the server and the core of its client: each has its own, so neither slows the other. */
export const SERVER_CORE = 0;
export const CLIENT_CORE = 1;
const CONNECTIONS = 64;

/** What one run of oha against one server told. Shares are of one core. */
export interface Load {
  readonly requestsPerSecond: number;
  readonly serverShare: number;
  readonly clientShare: number;
}

interface OhaReport {
  readonly summary: { readonly total: number };
  readonly statusCodeDistribution: Readonly<Record<string, number>>;
}

/** Loads a URL from the client's core with a fixed number of connections. Throws when an answer was not a 200. */
export async function load(
  oha: string,
  url: string,
  serverPid: number,
  seconds: number,
  headers: readonly string[] = [],
): Promise<Load> {
  const options = ['--no-tui', '--output-format', 'json', '--worker-threads', '1'];
  const command = [oha, ...options, '-c', String(CONNECTIONS), '-z', `${seconds}s`];
  const client = start([...command, ...headers.flatMap((header) => ['-H', header]), url], {
    core: CLIENT_CORE,
  });
  const shares = shareOfCore(seconds * 1000, {
    server: () => cpuSeconds(serverPid),
    client: () => cpuSeconds(client.pid),
  });
  const [{ server, client: own }, text] = await Promise.all([shares, client.output]);
  const { summary, statusCodeDistribution } = JSON.parse(text) as OhaReport;
  const { 200: served = 0, ...others } = statusCodeDistribution;
  if (served === 0 || Object.keys(others).length > 0)
    throw new Error(`${url} answered ${JSON.stringify(statusCodeDistribution)} where only 200 was expected.`);
  return { requestsPerSecond: served / summary.total, serverShare: server, clientShare: own };
}
