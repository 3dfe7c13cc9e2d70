import { KeptConnection } from './kept-connection.ts';

/** Requests at a rate that does not depend on the responses, as independent callers send them. */
export interface PacedLoad {
  /** Responses by status since the start, or since {@link forget}; 0 stands for a connection that failed. */
  readonly statuses: ReadonlyMap<number, number>;
  /** Responses in all. */
  count(): number;
  /** How long the responses with status 200 took on average, in milliseconds. */
  meanMs(): number;
  forget(): void;
  /** Sends nothing more, and waits for the responses. */
  stop(): Promise<void>;
}

const TICK_MS = 5;
const CONNECTIONS_MAX = 400;

/** Sends a request this many times a second, each on a connection that is idle. Throws if too many wait. */
export function startPacedLoad(url: string, request: string, perSecond: number): PacedLoad {
  const { hostname, port } = new URL(url);
  const statuses = new Map<number, number>();
  const idle: KeptConnection[] = [];
  const pending = new Set<Promise<void>>();
  const startMs = performance.now();
  let sent = 0;
  let servedMs = 0;

  async function send(): Promise<void> {
    const sentMs = performance.now();
    const connection = idle.pop() ?? new KeptConnection(Number(port), hostname);
    const reply = await connection.exchange(request).catch(() => ({ status: 0, closes: true }));
    statuses.set(reply.status, (statuses.get(reply.status) ?? 0) + 1);
    if (reply.status === 200) servedMs += performance.now() - sentMs;
    if (reply.closes) connection.end();
    else idle.push(connection);
  }

  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startMs) * perSecond) / 1000);
    for (; sent < due; sent++) {
      if (pending.size === CONNECTIONS_MAX) throw new Error(`${CONNECTIONS_MAX} requests have no response.`);
      const sending = send().finally(() => pending.delete(sending));
      pending.add(sending);
    }
  }, TICK_MS);

  return {
    statuses,
    count: () => [...statuses.values()].reduce((sum, count) => sum + count, 0),
    meanMs: () => servedMs / (statuses.get(200) ?? 0),
    forget: () => {
      statuses.clear();
      servedMs = 0;
    },
    stop: async () => {
      clearInterval(timer);
      await Promise.all(pending);
      for (const connection of idle) connection.end();
    },
  };
}
