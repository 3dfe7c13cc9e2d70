import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { openSocketBytes, peerOf, type SocketBytes } from '../../../src/utils/socket-bytes.ts';
import { until } from '../../support/until.ts';

const BYTES = 100_000;

test('a peer has one name, however its address is written', () => {
  expect(peerOf('::ffff:10.0.0.1', 80)).toBe('10.0.0.1 80');
  expect(peerOf('2001:DB8:0:0::1', 80)).toBe(peerOf('2001:db8::1', 80));
  expect(peerOf('10.0.0.1', 80)).not.toBe(peerOf('10.0.0.1', 81));
});

// Nothing else has the struct that this reads.
describe.if(process.platform === 'linux')('the bytes that a socket has read', () => {
  let sockets: SocketBytes;
  beforeAll(() => {
    sockets = openSocketBytes()!;
  });

  for (const [host, address] of [
    ['0.0.0.0', '127.0.0.1'],
    ['::', '127.0.0.1'],
    ['::1', '::1'],
  ] as const)
    describe(`from ${address} on ${host}`, () => {
      let server: Server;
      let accepted: Socket;
      let client: Socket;
      let peer: string;
      beforeAll(async () => {
        server = createServer();
        const { promise, resolve } = Promise.withResolvers<Socket>();
        server.on('connection', resolve);
        await new Promise<void>((listening) => server.listen(0, host, listening));
        client = connect((server.address() as { port: number }).port, address);
        await new Promise<void>((connected) => client.on('connect', () => connected()));
        accepted = await promise;
        peer = peerOf(client.localAddress!, client.localPort!);
      });
      afterAll(() => {
        client.destroy();
        accepted.destroy();
        server.close();
      });

      test('are found by the other end, and grow with what is read', async () => {
        const found = sockets.find(new Set([peer, '192.0.2.1 1']));
        expect([...found.keys()]).toEqual([peer]);
        const fd = found.get(peer)!;
        expect(sockets.readBytes(fd, peer)).toBe(0);
        let received = 0;
        accepted.on('data', (chunk) => {
          received += chunk.length;
        });
        client.write(Buffer.alloc(BYTES));
        await until(() => received === BYTES);
        expect(sockets.readBytes(fd, peer)).toBe(BYTES);
      });

      test('are not those of another connection under the same file descriptor', () => {
        const fd = sockets.find(new Set([peer])).get(peer)!;
        expect(sockets.readBytes(fd, '192.0.2.1 1')).toBe(null);
        expect(sockets.readBytes(1_000_000, peer)).toBe(null);
      });
    });

  test('do not include what waits to be read', async () => {
    const server = createServer({ pauseOnConnect: true });
    const { promise, resolve } = Promise.withResolvers<Socket>();
    server.on('connection', resolve);
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const client = connect((server.address() as { port: number }).port, '127.0.0.1');
    await new Promise<void>((connected) => client.on('connect', () => connected()));
    const accepted = await promise;
    const peer = peerOf(client.localAddress!, client.localPort!);
    const fd = sockets.find(new Set([peer])).get(peer)!;
    await new Promise<void>((written) => client.write('waits', () => written()));
    expect(sockets.readBytes(fd, peer)).toBe(0);
    client.destroy();
    accepted.destroy();
    server.close();
  });

  test('are found when connections use up all file descriptors, and nothing throws', async () => {
    const script = `
      import { closeSync, openSync } from 'node:fs';
      import { connect, createServer } from 'node:net';
      import { openSocketBytes, peerOf } from '${import.meta.dir}/../../../src/utils/socket-bytes.ts';
      const sockets = openSocketBytes();
      const server = createServer();
      const accepted = new Promise((resolve) => server.on('connection', resolve));
      await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
      const client = connect(server.address().port, '127.0.0.1');
      await Promise.all([accepted, new Promise((resolve) => client.on('connect', resolve))]);
      const peer = peerOf('127.0.0.1', client.localPort);
      const taken = [];
      try { for (;;) taken.push(openSync('/dev/null', 'r')); } catch {}
      const found = [0, 1].map(() => sockets.find(new Set([peer])).size);
      for (const fd of taken) closeSync(fd);
      console.log(JSON.stringify([taken.length > 0, ...found]));
      process.exit();`;
    const child = Bun.spawn(['sh', '-c', 'ulimit -n 256 && exec "$0" -e "$1"', process.execPath, script], {
      stderr: 'inherit',
    });
    expect(JSON.parse(await new Response(child.stdout).text())).toEqual([true, 1, 1]);
    expect(await child.exited).toBe(0);
  });
});
