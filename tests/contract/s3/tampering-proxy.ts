import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** Changes the bytes that pass a proxy; null cuts the connection. */
export interface Tampering {
  up?(bytes: Buffer): Buffer | null;
  down?(bytes: Buffer): Buffer | null;
}

/** A proxy for the server of the URL, on a free port of the loopback interface. */
export interface TamperingProxy {
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts a proxy that can change the bytes that pass, which toxiproxy cannot. */
export async function startTamperingProxy(
  upstreamUrl: string,
  tampering: Tampering,
): Promise<TamperingProxy> {
  const { hostname, port } = new URL(upstreamUrl);
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    const pass = (from: Socket, to: Socket, change: Tampering['up']) => {
      sockets.add(from);
      from.on('data', (bytes: Buffer) => {
        const changed = change ? change(bytes) : bytes;
        if (changed === null) client.destroy();
        else to.write(changed);
      });
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    };
    pass(client, upstream, tampering.up?.bind(tampering));
    pass(upstream, client, tampering.down?.bind(tampering));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () =>
      new Promise((stopped) => {
        server.close(() => stopped());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
