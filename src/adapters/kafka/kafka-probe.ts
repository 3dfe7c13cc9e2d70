import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type KafkaAccess, tlsOptions } from './kafka-access.ts';

// ApiVersions, version 0, without a client id: every broker responds to it before anything else.
const API_VERSIONS = Buffer.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff]);

// The length, and the correlation id of the request. An alert of a listener for TLS is shorter.
const RESPONSE_HEAD_BYTES = 8;
const CORRELATION_ID = 1;

/**
 * Resolves when one of the brokers responds, which it does before a login. Rejects when all have failed or the signal
 * aborts.
 */
export async function probeBrokers(access: KafkaAccess, signal: AbortSignal): Promise<void> {
  // The first response ends the other probes.
  const done = new AbortController();
  const either = AbortSignal.any([signal, done.signal]);
  try {
    await Promise.any(access.brokers.map((broker) => probe(broker, access, either)));
  } finally {
    done.abort();
  }
}

function probe(broker: string, access: KafkaAccess, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const { socket, readyEvent } = openSocket(broker, access);
    const end = (error: Error | null) => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      if (error === null) resolve();
      else reject(error);
    };
    const onAbort = () => end(new Error(`${broker} did not respond`));
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on(readyEvent, () => socket.write(API_VERSIONS));
    let received = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length >= RESPONSE_HEAD_BYTES) end(isResponse(received) ? null : strange(broker));
    });
    socket.on('error', end);
    socket.on('close', () => end(new Error(`${broker} closed the connection`)));
  });
}

function isResponse(received: Buffer): boolean {
  return received.readInt32BE(4) === CORRELATION_ID;
}

function strange(broker: string): Error {
  return new Error(`what listens on ${broker} does not respond like Kafka`);
}

function openSocket(broker: string, access: KafkaAccess): { socket: Socket; readyEvent: string } {
  const { hostname, port } = new URL(`kafka://${broker}`);
  const address = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) };
  const tls = tlsOptions(access);
  if (tls === null) return { socket: connect(address), readyEvent: 'connect' };
  const name = isIP(address.host) === 0 ? { servername: address.host } : {};
  return { socket: connectTls({ ...address, ...name, ...tls }), readyEvent: 'secureConnect' };
}
