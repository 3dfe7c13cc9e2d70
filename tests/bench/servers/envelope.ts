import { createApp } from '../../../src/app.ts';
import { loadConfig } from '../../../src/config.ts';
import { openDeps } from '../../../src/deps.ts';
import { createEnvelope } from '../../../src/envelope/envelope.ts';
import { createLogger } from '../../../src/instrumentation/logger.ts';
import { listen } from './listen.ts';
import { PING_PATH, pingApp } from './ping-app.ts';

// All production layers in order, around the bare Hono of the other variants. With the argument `open`, the route needs no
// key, like the health routes; without it, the key is checked against PostgreSQL and its cache.
const { config } = loadConfig();
const { layers, resolved } = createApp(await openDeps(config, createLogger(config)));
const bare = pingApp();
const ping = resolved.resolve(new Request(`http://127.0.0.1${PING_PATH}`));
const route = process.argv[2] === 'open' ? { ...ping, scope: null } : ping;
const resolve = (request: Request) => {
  const found = resolved.resolve(request);
  return found === ping ? route : found;
};
listen(createEnvelope(layers, (request, exchange) => bare.fetch(request, exchange), resolve));
