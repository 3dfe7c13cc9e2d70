/** Callers that each open a connection for every request, as an attacker does. */
export interface Flood {
  /** Complete responses so far. */
  responses(): number;
  /** Those with this status so far. */
  count(status: number): number;
  /** Resolves to the responses by status; 0 stands for a connection that was closed without one. */
  stop(): Promise<ReadonlyMap<number, number>>;
}

export interface FloodOptions {
  readonly path: string;
  readonly callers: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** A JSON text, which is sent with POST. */
  readonly body?: string;
}

const PAUSE_MS = 1;
const STATUS_END = 'HTTP/1.1 200'.length;

/** Sends requests over plain sockets until it is stopped. Bodies of responses are read and dropped. */
export function startFlood(url: string, { path, callers, headers = {}, body }: FloodOptions): Flood {
  const { hostname, port } = new URL(url);
  const about =
    body === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': body.length };
  const lines = Object.entries({ Host: hostname, Connection: 'close', ...headers, ...about });
  const method = body === undefined ? 'GET' : 'POST';
  const head = [`${method} ${path} HTTP/1.1`, ...lines.map(([name, value]) => `${name}: ${value}`)];
  const request = `${head.join('\r\n')}\r\n\r\n${body ?? ''}`;
  const statuses = new Map<number, number>();
  let responses = 0;
  let stopped = false;

  async function call(): Promise<void> {
    while (!stopped) {
      const status = await exchange(hostname, Number(port), request);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      responses++;
      await Bun.sleep(PAUSE_MS);
    }
  }

  const calling = Array.from({ length: callers }, call);
  return {
    responses: () => responses,
    count: (status) => statuses.get(status) ?? 0,
    stop: async () => {
      stopped = true;
      await Promise.all(calling);
      return statuses;
    },
  };
}

/** Sends a request and resolves to the status when the server closes the connection. */
function exchange(hostname: string, port: number, request: string): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  let start = '';
  const done = () => resolve(Number(start.slice('HTTP/1.1 '.length, STATUS_END)));
  Bun.connect({
    hostname,
    port,
    socket: {
      open: (socket) => void socket.write(request),
      data: (_, chunk) => {
        if (start.length < STATUS_END) start += chunk.subarray(0, STATUS_END).toString();
      },
      close: done,
      error: done,
      connectError: done,
    },
  }).catch(done);
  return promise;
}
