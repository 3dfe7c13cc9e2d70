import { Hono } from 'hono';

/** The path of the JSON route that every variant has. */
export const PING_PATH = '/v1/ping';

/** Returns a bare Hono with only that route, for every variant that runs Hono. */
export function pingApp(): Hono {
  return new Hono().get(PING_PATH, (c) => c.json({ pong: true }));
}
