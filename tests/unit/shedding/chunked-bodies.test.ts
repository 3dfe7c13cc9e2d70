import { expect, test } from 'bun:test';
import type { Exchange, Principal } from '../../../src/envelope/exchange.ts';
import { ChunkedBodies } from '../../../src/shedding/chunked-bodies.ts';
import { peerOf, type SocketBytes } from '../../../src/utils/socket-bytes.ts';
import { exchangeOf } from '../../support/exchange.ts';
import { principalOf } from '../../support/principal.ts';

const CHECK_MS = 100;
const REFUSED_MS = 30_000;
const MEBIBYTE = 1_048_576;

/** Bodies on a clock and on sockets of the test. */
function start(isMeasurable = true) {
  let nowMs = 0;
  let ports = 0;
  let searchMs = 0;
  const read = new Map<string, number>();
  const searched: string[][] = [];
  const sockets: SocketBytes = {
    find(peers) {
      searched.push([...peers]);
      nowMs += searchMs;
      return new Map(
        [...peers].filter((peer) => read.has(peer)).map((peer) => [peer, Number(peer.split(' ')[1])]),
      );
    },
    readBytes: (_fd, peer) => read.get(peer) ?? null,
  };
  const bodies = new ChunkedBodies(() => nowMs, isMeasurable ? sockets : null);
  return {
    searched,
    /** Lets searches take this long from now on. */
    slowDown(ms: number) {
      searchMs = ms;
    },
    check(lateMs = 0) {
      nowMs += CHECK_MS + lateMs;
      bodies.check();
    },
    pass(ms: number) {
      nowMs += ms;
    },
    /** Starts a body; `arrive` has bytes of it, of which so many are data. */
    send(owner: string | null, address = '192.0.2.1', facts: Partial<Principal> = {}) {
      const port = ++ports;
      const peer = peerOf(address, port);
      const connection = { timeout: () => {}, requestIP: () => ({ address, port }) };
      const { exchange } = exchangeOf({}, {}, connection) as { exchange: Exchange };
      if (owner !== null) exchange.principal = principalOf(owner, facts);
      const isStarted = bodies.start(exchange, () => new Error('refused'));
      // An earlier request of the connection was read from it, too.
      read.set(peer, 5 * MEBIBYTE);
      let error: Error | null = null;
      if (isStarted)
        exchange.chunks!.onEnded = (reason) => {
          error = reason;
        };
      return {
        isStarted,
        chunks: exchange.chunks!,
        isEnded: () => error !== null,
        close: () => read.delete(peer),
        arrive(bytes: number, dataBytes: number) {
          read.set(peer, read.get(peer)! + bytes);
          if (dataBytes > 0) exchange.chunks!.add(dataBytes);
        },
      };
    },
  };
}

test('bodies of which much is read and nothing arrives are ended, and their sender is refused others for a while', () => {
  const { check, pass, send } = start();
  const wasting = [send('greedy'), send('greedy')];
  const other = send('other');
  check();
  for (const body of wasting) body.arrive(MEBIBYTE, 0);
  check();
  expect([...wasting, other].map((body) => body.isEnded())).toEqual([true, true, false]);
  expect([send('greedy'), send('other')].map(({ isStarted }) => isStarted)).toEqual([false, true]);
  pass(REFUSED_MS);
  expect(send('greedy').isStarted).toBe(true);
});

test('a sender that is slow, or whose chunks are small, is left alone', () => {
  const { check, send } = start();
  const slow = send('slow');
  const small = send('small');
  for (let i = 0; i < 1000; i++) {
    check();
    slow.arrive(20, 1);
    small.arrive(1_400_000, 350_000);
    small.arrive(600, 100);
  }
  expect([slow.isEnded(), small.isEnded()]).toEqual([false, false]);
});

test('data that came before does not pay for waste', () => {
  const { check, send } = start();
  const body = send('clever');
  check();
  for (let i = 0; i < 20; i++) {
    body.arrive(50 * MEBIBYTE, 50 * MEBIBYTE);
    check();
  }
  for (let i = 0; i < 15 && !body.isEnded(); i++) {
    body.arrive(2 * MEBIBYTE, 0);
    check();
  }
  expect(body.isEnded()).toBe(true);
});

test('what is wasted counts for the sender, not for the connection, and a good body of it goes on', () => {
  const { check, send } = start();
  const wasting = Array.from({ length: 20 }, () => send('many'));
  const good = send('many');
  check();
  for (const body of wasting) body.arrive(60_000, 0);
  good.arrive(100_000, 99_000);
  check();
  expect(wasting.every((body) => body.isEnded())).toBe(true);
  expect(good.isEnded()).toBe(false);
});

test('callers without a key are distinguished by their address', () => {
  const { check, send } = start();
  const wasting = send(null, '192.0.2.7');
  check();
  wasting.arrive(2 * MEBIBYTE, 0);
  check();
  expect(wasting.isEnded()).toBe(true);
  expect([send(null, '192.0.2.7'), send(null, '192.0.2.8')].map(({ isStarted }) => isStarted)).toEqual([
    false,
    true,
  ]);
});

test('people without an organization are distinguished from each other, and from operators', () => {
  const { check, send } = start();
  const sendAs = (kind: 'session' | 'operator', userId: string | null) =>
    send('', undefined, { kind, userId, keyId: `key of ${userId}` });
  const wasting = sendAs('session', 'ada');
  check();
  wasting.arrive(2 * MEBIBYTE, 0);
  check();
  const others = [sendAs('session', 'ada'), sendAs('session', 'bob'), sendAs('operator', null)];
  expect(others.map(({ isStarted }) => isStarted)).toEqual([false, true, true]);
});

test('what waits for its reader in the server is not waste', () => {
  const { check, send } = start();
  const body = send('fast');
  check();
  body.chunks.isWaiting = false;
  body.arrive(10 * MEBIBYTE, 0);
  for (let i = 0; i < 20; i++) check();
  body.chunks.add(10 * MEBIBYTE);
  body.chunks.isWaiting = true;
  check();
  expect(body.isEnded()).toBe(false);
});

test('a body that has arrived, or whose connection is another now, is not ended', () => {
  const { check, send } = start();
  const arrived = send('a');
  const closed = send('b');
  check();
  arrived.arrive(2 * MEBIBYTE, 0);
  closed.arrive(2 * MEBIBYTE, 0);
  arrived.chunks.arrived();
  closed.close();
  check();
  expect([arrived.isEnded(), closed.isEnded()]).toEqual([false, false]);
});

test('bodies that are refused while they arrive count, those that nobody read only if the loop was late', () => {
  for (const [lateMs, isWaiting, isStarted] of [
    [0, true, false],
    [0, false, true],
    [100, false, false],
  ] as const) {
    const { check, send } = start();
    const body = send('a');
    check(lateMs);
    body.arrive(2 * MEBIBYTE, 0);
    body.chunks.isWaiting = isWaiting;
    body.chunks.arrived();
    check();
    expect(send('a').isStarted).toBe(isStarted);
    expect(body.isEnded()).toBe(false);
  }
});

test('a connection is searched for once, and given up after three times', () => {
  const { check, send, searched } = start();
  const found = send('a');
  check();
  const lost = send('a');
  lost.close();
  for (let i = 0; i < 10; i++) check();
  expect(searched.map((peers) => peers.length)).toEqual([1, 1, 1, 1]);
  expect(found.isEnded()).toBe(false);
});

test('searches take at most a twentieth of the time, however many connections there are', () => {
  const { check, send, searched, slowDown } = start();
  slowDown(50);
  for (let i = 0; i < 100; i++) {
    send('a').close();
    check();
  }
  expect(searched.length).toBeWithin(8, 12);
});

test('where nothing can be measured, nothing is ended', () => {
  const { check, send } = start(false);
  const body = send('a');
  check();
  body.arrive(9 * MEBIBYTE, 0);
  check();
  expect(body.isEnded()).toBe(false);
});
