import { until } from '../support/until.ts';
import { KeptConnection } from './kept-connection.ts';

/** Offers requests at an even rate, over one connection to each of some workers. */
export interface QuotaLoad {
  /** When each request was served, in milliseconds since the start. */
  readonly servedMs: readonly number[];
  readonly refused: number;
  readonly offered: number;
  /** Responses that were neither served nor refused, and connections that failed. */
  readonly failures: readonly string[];
}

const CONNECTIONS_MAX = 200;

/** Opens connections to the host until each of its workers has one, and returns that one. */
export async function connectToWorkers(
  url: string,
  workers: number,
  request: string,
): Promise<KeptConnection[]> {
  const { hostname, port } = new URL(url);
  const byWorker = new Map<string, KeptConnection>();
  for (let i = 0; byWorker.size < workers && i < CONNECTIONS_MAX; i++) {
    const connection = new KeptConnection(Number(port), hostname);
    const { head } = await connection.exchange(request);
    // A request ID starts with what identifies its process.
    const worker = /^x-request-id: ([\w.]{12})-/im.exec(head)![1]!;
    if (byWorker.has(worker)) connection.end();
    else byWorker.set(worker, connection);
  }
  if (byWorker.size < workers)
    throw new Error(`Only ${byWorker.size} of ${workers} workers accept connections.`);
  return [...byWorker.values()];
}

/** Sends this many requests a second, in turn over the connections, each of which sends one at a time. */
export async function offer(
  connections: readonly KeptConnection[],
  request: string,
  perSecond: number,
  seconds: number,
): Promise<QuotaLoad> {
  const servedMs: number[] = [];
  const failures: string[] = [];
  let refused = 0;
  let offered = 0;
  const startMs = performance.now();
  const endMs = startMs + seconds * 1000;

  async function send(connection: KeptConnection, lane: number): Promise<void> {
    for (let nth = 0; ; nth++) {
      const dueMs = startMs + ((nth * connections.length + lane) * 1000) / perSecond;
      if (dueMs >= endMs) return;
      await until(() => performance.now() >= dueMs, { pollMs: 1, deadlineMs: 60_000 });
      offered++;
      const { status } = await connection.exchange(request);
      if (status === 200) servedMs.push(performance.now() - startMs);
      else if (status === 429) refused++;
      else failures.push(`status ${status}`);
    }
  }

  await Promise.all(connections.map(send));
  return { servedMs, refused, offered, failures };
}

/** Returns the most that was served within any second that starts after `fromMs`. */
export function mostInASecond(servedMs: readonly number[], fromMs: number): number {
  const times = servedMs.filter((ms) => ms >= fromMs);
  let start = 0;
  return times.reduce((most, ms, i) => {
    while (times[start]! <= ms - 1000) start++;
    return Math.max(most, i - start + 1);
  }, 0);
}
