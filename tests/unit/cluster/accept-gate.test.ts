import { afterEach, expect, test } from 'bun:test';
import { join } from 'node:path';
import { freePort } from '../../../infra/free-port.ts';
import type { App } from '../../../src/app.ts';
import { type Listener, listen } from '../../../src/cluster/listener.ts';
import type { Deps } from '../../../src/deps.ts';
import { until } from '../../support/until.ts';

// So that connections arrive faster than they are served.
const REQUEST_MS = 2;
const FLOOD_MS = 1500;
// Without the gate, it is the whole flood, and others are served once at most.
const SILENCE_MS_MAX = 1000;
const SERVED_MIN = 5;
const TIMEOUT_MS = 30_000;

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

function work(): void {
  const untilMs = performance.now() + REQUEST_MS;
  while (performance.now() < untilMs);
}

/** A listener whose requests take the event loop for a while. */
async function start(onRequest: (listener: Listener) => void = () => {}) {
  const port = await freePort();
  let requests = 0;
  const fetch = () => {
    requests++;
    work();
    onRequest(listener);
    return new Response('served');
  };
  const app = { fetch, fetchAdmin: fetch, resolved: { all: [{ bodyLimitBytes: 1000 }] } };
  const config = { API_HOST: '127.0.0.1', API_PORT: port, HTTP_TIMEOUT: 10 };
  const listener = listen(
    app as unknown as App,
    { config, lifecycle: { draining: false } } as unknown as Deps,
  );
  ends.push(() => listener.stop());
  return { port, listener, requests: () => requests };
}

async function flood(port: number, requests: () => number): Promise<void> {
  const clients = Bun.spawn([process.execPath, join(import.meta.dir, 'hit-and-run.ts'), `${port}`]);
  ends.push(() => {
    clients.kill('SIGKILL');
    return clients.exited;
  });
  await until(() => requests() > 0);
}

/** Notes the longest time that timers waited. */
function watchTimers() {
  let longestMs = 0;
  let lastMs = performance.now();
  const timer = setInterval(() => {
    longestMs = Math.max(longestMs, performance.now() - lastMs);
    lastMs = performance.now();
  }, 5);
  ends.push(() => clearInterval(timer));
  return () => longestMs;
}

// Bun accepts without end elsewhere, because the gate is on Linux only.
test.if(process.platform === 'linux')(
  'clients that connect again without waiting for a response keep nobody else from being served',
  async () => {
    const { port, requests } = await start();
    const longestMs = watchTimers();
    await flood(port, requests);
    const endMs = performance.now() + FLOOD_MS;
    let served = 0;
    while (performance.now() < endMs) {
      // The first connects among the others, and the next ones use its connection.
      const response = await fetch(`http://127.0.0.1:${port}/`);
      expect(await response.text()).toBe('served');
      served++;
    }
    expect(longestMs()).toBeLessThan(SILENCE_MS_MAX);
    expect(served).toBeGreaterThanOrEqual(SERVED_MIN);
  },
  TIMEOUT_MS,
);

test(
  'a connection that waits while no other is accepted is served later',
  async () => {
    const { port } = await start();
    const connectAndGet = async () => {
      const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { Connection: 'close' } });
      return response.text();
    };
    for (let round = 0; round < 3; round++) {
      const texts = await Promise.all(Array.from({ length: 100 }, connectAndGet));
      expect(texts.every((text) => text === 'served')).toBe(true);
    }
  },
  TIMEOUT_MS,
);

test(
  'after a stop within a long turn, the port is free',
  async () => {
    let count = 0;
    const stopped = Promise.withResolvers<void>();
    const { port, requests } = await start((listener) => {
      if (++count === 100) void listener.stop().then(stopped.resolve);
    });
    await flood(port, requests);
    await stopped.promise;
    const second = Bun.serve({ port, hostname: '127.0.0.1', fetch: () => new Response('another') });
    ends.push(() => second.stop(true));
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('another');
  },
  TIMEOUT_MS,
);
