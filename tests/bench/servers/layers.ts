import { createApp } from '../../../src/app.ts';
import { loadConfig } from '../../../src/config.ts';
import { openDeps } from '../../../src/deps.ts';
import { createEnvelope } from '../../../src/envelope/envelope.ts';
import type { FetchHandler } from '../../../src/envelope/exchange.ts';
import { ALL_SCOPES } from '../../../src/features.ts';
import { createLogger } from '../../../src/instrumentation/logger.ts';
import { principalOf } from '../../support/principal.ts';
import { listen } from './listen.ts';
import { PING_PATH } from './ping-app.ts';

// Usage: layers.ts [COUNT | open]. The whole app behind its outermost layers, by default behind all. With `open`, the ping
// needs no key, like the health routes. Whoever was not authenticated has all scopes.
const [given] = process.argv.slice(2);
const { config } = loadConfig();
const { enter, layers, resolved } = createApp(await openDeps(config, createLogger(config)));
const outermost = given === undefined || given === 'open' ? layers : layers.slice(0, Number(given));
const anyone = principalOf('bench', { keyId: '', scopes: ALL_SCOPES });
const handler: FetchHandler = (request, exchange) => {
  exchange.principal ??= anyone;
  return enter(request, exchange);
};
const ping = resolved.resolve(new Request(`http://127.0.0.1${PING_PATH}`));
const route = given === 'open' ? { ...ping, scope: null } : ping;
const resolve = (request: Request) => {
  const found = resolved.resolve(request);
  return found === ping ? route : found;
};
listen(createEnvelope(outermost, handler, resolve));
