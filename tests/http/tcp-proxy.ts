import type { Socket } from 'bun';

/** A proxy to PostgreSQL that a test can cut or silence. */
export interface Proxy {
  readonly url: string;
  /** Drops all data in both directions, while connections stay open. */
  silence(): void;
  /** Closes every connection and refuses new ones. */
  stop(): void;
}

interface Side {
  peer: Socket<Side> | null;
  waiting: Buffer[];
}

/** Forwards a port of the loopback interface, by default a free one, to the database. */
export function proxyTo(databaseUrl: string, port = 0): Proxy {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket<Side>>();
  let silent = false;
  const close = (socket: Socket<Side>) => {
    sockets.delete(socket);
    socket.data.peer?.end();
  };
  const data = (socket: Socket<Side>, chunk: Buffer) => {
    if (silent) return;
    if (socket.data.peer === null) socket.data.waiting.push(Buffer.from(chunk));
    else socket.data.peer.write(chunk);
  };
  const outer = Bun.listen<Side>({
    hostname: '127.0.0.1',
    port,
    socket: {
      open(socket) {
        socket.data = { peer: null, waiting: [] };
        sockets.add(socket);
        void Bun.connect<Side>({
          hostname: target.hostname,
          port: Number(target.port),
          data: { peer: socket, waiting: [] },
          socket: {
            open(upstream) {
              sockets.add(upstream);
              socket.data.peer = upstream;
              for (const chunk of socket.data.waiting.splice(0)) upstream.write(chunk);
            },
            data,
            close,
          },
        });
      },
      data,
      close,
    },
  });
  const url = Object.assign(new URL(databaseUrl), { port: String(outer.port) }).href;
  return {
    url,
    silence: () => {
      silent = true;
    },
    stop: () => {
      outer.stop(true);
      for (const socket of sockets) socket.end();
    },
  };
}
