import { Hono } from 'hono';
import type { Exchange } from '../../../src/envelope/exchange.ts';

/** The path of the JSON route that every variant has. */
export const PING_PATH = '/v1/ping';

/** Returns a bare Hono with only that route, for every variant that runs Hono. */
export function pingApp(): Hono<{ Bindings: Exchange }> {
  return new Hono<{ Bindings: Exchange }>().get(PING_PATH, (c) => c.json({ pong: true }));
}
