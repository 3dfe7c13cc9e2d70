import { createApp } from '../../../src/app.ts';
import { loadConfig } from '../../../src/config.ts';
import { openDeps } from '../../../src/deps.ts';
import { createEnvelope } from '../../../src/envelope/envelope.ts';
import { createLogger } from '../../../src/instrumentation/logger.ts';
import { PING_PATH } from './ping-app.ts';

const STEPS = 700_000;

// Usage: cpu-bound.ts port. One of several workers that share a port, as in a cluster: the whole production envelope
// around a handler that computes for a millisecond.
const { config } = loadConfig();
const { layers, resolved } = createApp(await openDeps(config, createLogger(config)));
const ping = resolved.resolve(new Request(`http://127.0.0.1${PING_PATH}`));
const route = { ...ping, scope: null };

/** The same work for every request: about a millisecond of CPU time. */
function compute(): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < STEPS; i++) hash = Math.imul(hash ^ (i & 0xff), 0x01000193);
  return hash;
}

const respond = () => {
  return Response.json({ hash: compute() });
};
const envelope = createEnvelope(layers, respond, (request) => {
  const found = resolved.resolve(request);
  return found === ping ? route : found;
});
const server = Bun.serve({
  hostname: '127.0.0.1',
  port: Number(process.argv[2]),
  reusePort: true,
  fetch: envelope,
});
console.log(`listening on http://127.0.0.1:${server.port}`);
