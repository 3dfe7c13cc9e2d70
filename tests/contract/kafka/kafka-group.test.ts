import { afterEach, describe, expect, test } from 'bun:test';
import { createServer, type Server, type Socket } from 'node:net';
import { createKafkaClient } from '../../../src/adapters/kafka/kafka-client.ts';
import { KafkaGroup } from '../../../src/adapters/kafka/kafka-group.ts';
import { until } from '../../support/until.ts';

const TIMEOUT_MS = 30_000;

let server: Server;
const sockets = new Set<Socket>();
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

/** A broker that accepts connections, and never responds. */
async function silentBroker(): Promise<string> {
  server = createServer((socket) => {
    sockets.add(socket);
    socket.resume();
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as { port: number }).port}`;
}

describe('a group that is closed', () => {
  test(
    'leaves no connection of a request that was in flight, and that the library tries again',
    async () => {
      const brokers = [await silentBroker()];
      const group = new KafkaGroup(
        createKafkaClient({ brokers }, () => {}),
        'group',
      );
      const found = group.members().catch((error: unknown) => error);
      await until(() => sockets.size > 0);
      await group.close();
      expect(await found).toBeInstanceOf(Error);
      await until(() => sockets.size === 0);
    },
    TIMEOUT_MS,
  );
});
