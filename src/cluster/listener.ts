import type { App } from '../app.ts';
import type { Deps } from '../deps.ts';
import { settle } from '../utils/settle.ts';
import { AcceptGate } from './accept-gate.ts';
import { boundTurns } from './bound-turns.ts';

// Bun closes an idle connection after this timeout, so it must be longer than the deadline; Bun's maximum is 255 s.
const IDLE_MARGIN_SECONDS = 10;
const IDLE_MAX_SECONDS = 255;

type Sent = Parameters<App['fetch']>;

/** The listening sockets of a worker. */
export interface Listener {
  /** Stops accepting, and resolves when every request that was read has its response. */
  stop(): Promise<void>;
}

/**
 * Serves the app on the configured ports. On Linux all workers of the host share them, and the kernel spreads their
 * connections. While the worker drains, every response closes its connection: stopping the server resets idle
 * connections, even if the next request is on its way, so they are closed in order first.
 */
export function listen({ fetch, fetchAdmin, resolved }: App, { config, lifecycle }: Deps): Listener {
  const close = (response: Response) => {
    response.headers.set('connection', 'close');
    return response;
  };
  const common = {
    reusePort: process.platform === 'linux',
    idleTimeout: Math.min(IDLE_MAX_SECONDS, Math.ceil(config.HTTP_TIMEOUT) + IDLE_MARGIN_SECONDS),
    // Every route enforces its own limit with a problem response. Bun's limit, 128 MiB by default, sends a bare 413.
    maxRequestBodySize: Math.max(...resolved.all.map(({ bodyLimitBytes }) => bodyLimitBytes)) * 2,
    // In development mode a failing stream prints its stack to the terminal, past the logger.
    development: false,
  };
  const gates: AcceptGate[] = [];
  const serve = (hostname: string, port: number, respond: App['fetch']) => {
    const gate = new AcceptGate();
    const server = Bun.serve({
      ...common,
      hostname,
      port,
      fetch: boundTurns(
        (request: Sent[0], connection?: Sent[1], nowMs?: Sent[2]) =>
          lifecycle.draining
            ? settle(respond(request, connection, nowMs), close)
            : respond(request, connection, nowMs),
        gate,
      ),
    });
    gate.attach(server.port!);
    gates.push(gate);
    return server;
  };
  const servers = [serve(config.API_HOST, config.API_PORT, fetch)];
  if (config.ADMIN_PORT !== undefined) servers.push(serve(config.ADMIN_HOST, config.ADMIN_PORT, fetchAdmin));
  return {
    stop() {
      for (const gate of gates) gate.end();
      return Promise.all(servers.map((server) => server.stop())).then(() => {});
    },
  };
}
