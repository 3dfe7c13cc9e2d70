import { connect } from 'node:net';

// ApiVersions, version 0, without a client id: the one request that every broker answers before anything else.
const API_VERSIONS = Buffer.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff]);

/** Resolves when one of the brokers has answered, and rejects when none did before the signal aborted. */
export async function probeBrokers(brokers: readonly string[], signal: AbortSignal): Promise<void> {
  // With the answer of one the others are not waited for.
  const enough = new AbortController();
  const either = AbortSignal.any([signal, enough.signal]);
  try {
    await Promise.any(brokers.map((broker) => probe(broker, either)));
  } finally {
    enough.abort();
  }
}

function probe(broker: string, signal: AbortSignal): Promise<void> {
  const { hostname, port } = new URL(`kafka://${broker}`);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) });
    const end = (error: Error | null) => {
      signal.removeEventListener('abort', give);
      socket.destroy();
      if (error === null) resolve();
      else reject(error);
    };
    const give = () => end(new Error(`${broker} does not answer`));
    if (signal.aborted) return give();
    signal.addEventListener('abort', give, { once: true });
    socket.on('connect', () => socket.write(API_VERSIONS));
    socket.on('data', () => end(null));
    socket.on('error', end);
    socket.on('close', () => end(new Error(`${broker} closed the connection`)));
  });
}
