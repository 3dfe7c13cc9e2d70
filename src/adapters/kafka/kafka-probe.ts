import { connect } from 'node:net';

// ApiVersions, version 0, without a client id: every broker responds to it before anything else.
const API_VERSIONS = Buffer.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff]);

/** Resolves when one of the brokers responds. Rejects when all have failed or the signal aborts. */
export async function probeBrokers(brokers: readonly string[], signal: AbortSignal): Promise<void> {
  // The first response ends the other probes.
  const done = new AbortController();
  const either = AbortSignal.any([signal, done.signal]);
  try {
    await Promise.any(brokers.map((broker) => probe(broker, either)));
  } finally {
    done.abort();
  }
}

function probe(broker: string, signal: AbortSignal): Promise<void> {
  const { hostname, port } = new URL(`kafka://${broker}`);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) });
    const end = (error: Error | null) => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      if (error === null) resolve();
      else reject(error);
    };
    const onAbort = () => end(new Error(`${broker} did not respond`));
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('connect', () => socket.write(API_VERSIONS));
    socket.on('data', () => end(null));
    socket.on('error', end);
    socket.on('close', () => end(new Error(`${broker} closed the connection`)));
  });
}
