import type { App } from '../app.ts';
import type { Deps } from '../deps.ts';
import { settle } from '../utils/settle.ts';

// Bun cuts a silent connection after its idle timeout, so that must come after the deadline; 255 s is its maximum.
const IDLE_MARGIN_SECONDS = 10;
const IDLE_MAX_SECONDS = 255;

/** The socket that a worker serves on. */
export interface Listener {
  /** Stops accepting and resolves when every request that was read is answered. */
  stop(): Promise<void>;
}

/**
 * Serves the app on the configured port, which all workers of the host share where the system spreads connections over
 * listeners. While the worker drains, every answer closes its connection: stopping cuts connections that look idle,
 * also one whose next request is on its way, so each is first closed in order.
 */
export function listen({ fetch, resolved }: App, { config, lifecycle }: Deps): Listener {
  const close = (response: Response) => {
    response.headers.set('connection', 'close');
    return response;
  };
  const server = Bun.serve({
    hostname: config.API_HOST,
    port: config.API_PORT,
    reusePort: process.platform === 'linux',
    idleTimeout: Math.min(IDLE_MAX_SECONDS, Math.ceil(config.HTTP_TIMEOUT) + IDLE_MARGIN_SECONDS),
    // Each route has its own limit, and refuses with a problem; Bun's answer has none, and its default is 128 MiB.
    maxRequestBodySize: Math.max(...resolved.all.map(({ bodyLimitBytes }) => bodyLimitBytes)) * 2,
    // Else a stream that fails writes its stack to the terminal, past the logger.
    development: false,
    fetch: (request, connection) =>
      lifecycle.draining ? settle(fetch(request, connection), close) : fetch(request, connection),
  });
  return { stop: () => server.stop() };
}
