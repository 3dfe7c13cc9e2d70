import type { Socket } from 'bun';

/** A proxy to PostgreSQL that drops the settings of every session, as a pooler may. */
export interface Pooler {
  readonly url: string;
  stop(): void;
}

interface Side {
  peer: Socket<Side> | null;
  /** Bytes of the startup message until it is complete; null afterwards. */
  startup: Buffer | null;
}

// What no pooler drops.
const PASSED = ['user', 'database', 'client_encoding'];

/** Forwards a free port of the loopback interface to the database. */
export async function poolerTo(databaseUrl: string): Promise<Pooler> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket<Side>>();
  const close = (socket: Socket<Side>) => {
    sockets.delete(socket);
    socket.data.peer?.end();
  };
  const forward = (socket: Socket<Side>) => {
    const { peer, startup } = socket.data;
    if (peer === null || startup === null || startup.length < 4 || startup.length < startup.readInt32BE(0))
      return;
    const length = startup.readInt32BE(0);
    peer.write(Buffer.concat([withoutSettings(startup.subarray(0, length)), startup.subarray(length)]));
    socket.data.startup = null;
  };
  const outer = Bun.listen<Side>({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open(socket) {
        socket.data = { peer: null, startup: Buffer.alloc(0) };
        sockets.add(socket);
        void Bun.connect<Side>({
          hostname: target.hostname,
          port: Number(target.port),
          data: { peer: socket, startup: null },
          socket: {
            open(upstream) {
              sockets.add(upstream);
              socket.data.peer = upstream;
              forward(socket);
            },
            data: (upstream, chunk) => void upstream.data.peer?.write(chunk),
            close,
          },
        });
      },
      data(socket, chunk) {
        if (socket.data.startup === null) return void socket.data.peer?.write(chunk);
        socket.data.startup = Buffer.concat([socket.data.startup, chunk]);
        forward(socket);
      },
      close,
    },
  });
  return {
    url: Object.assign(new URL(databaseUrl), { port: String(outer.port) }).href,
    stop() {
      outer.stop(true);
      for (const socket of sockets) socket.end();
    },
  };
}

/** The startup message has the length, the version, and pairs of names and values, each ended by a zero. */
function withoutSettings(startup: Buffer): Buffer {
  const version = startup.readInt32BE(4);
  // A request to cancel a query has no settings.
  if (version !== 196_608) return startup;
  const words = startup.subarray(8).toString().split('\0');
  const kept: string[] = [];
  for (let i = 0; i + 1 < words.length && words[i] !== ''; i += 2)
    if (PASSED.includes(words[i]!)) kept.push(words[i]!, words[i + 1]!);
  const body = Buffer.from(`${kept.join('\0')}\0\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(8 + body.length, 0);
  head.writeInt32BE(version, 4);
  return Buffer.concat([head, body]);
}
