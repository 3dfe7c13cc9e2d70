import { afterEach, expect, test } from 'bun:test';
import { createServer, type Server, type Socket } from 'node:net';
import { isResponsive } from '../../../src/adapters/postgres/embedded/is-responsive.ts';
import { freshDatabase } from '../../support/database.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** Listens on a free port, with something else than PostgreSQL. */
async function listen(onConnection: (socket: Socket) => void): Promise<number> {
  const server = createServer(onConnection);
  servers.push(server);
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return (server.address() as { port: number }).port;
}

test(
  'a running PostgreSQL is responsive',
  async () => {
    expect(await isResponsive(Number(new URL(await freshDatabase('embedded')).port))).toBe(true);
  },
  START_TIMEOUT_MS,
);

test('a server that accepts connections and resets them, as one that is being killed, is not', async () => {
  expect(await isResponsive(await listen((socket) => socket.resetAndDestroy()))).toBe(false);
});

test('a server that accepts connections and stays silent is not', async () => {
  const sockets: Socket[] = [];
  expect(await isResponsive(await listen((socket) => void sockets.push(socket)))).toBe(false);
  for (const socket of sockets) socket.destroy();
});

test('a port on which nothing listens is not', async () => {
  const port = await listen(() => {});
  await new Promise((closed) => servers.pop()!.close(closed));
  expect(await isResponsive(port)).toBe(false);
});
