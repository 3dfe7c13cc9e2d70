import { createApp } from '../../../src/app.ts';
import { loadConfig } from '../../../src/config.ts';
import { openDeps } from '../../../src/deps.ts';
import { createEnvelope } from '../../../src/envelope/envelope.ts';
import type { FetchHandler, Principal } from '../../../src/envelope/exchange.ts';
import { ALL_SCOPES } from '../../../src/features.ts';
import { createLogger } from '../../../src/instrumentation/logger.ts';
import { listen } from './listen.ts';

// The whole app behind its outermost layers, as many as the argument says. Without authentication, every caller has all
// scopes.
const { config } = loadConfig();
const { app, layers, resolved } = createApp(await openDeps(config, createLogger(config)));
const outermost = layers.slice(0, Number(process.argv[2]));
const anyone: Principal = { keyId: '', owner: 'bench', scopes: ALL_SCOPES };
const handler: FetchHandler = (request, exchange) => {
  exchange.principal ??= anyone;
  return app.fetch(request, exchange);
};
listen(createEnvelope(outermost, handler, resolved.resolve));
