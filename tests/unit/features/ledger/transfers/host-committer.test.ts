import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { AbortReason } from '../../../../../src/envelope/exchange.ts';
import { FrameConnection } from '../../../../../src/utils/frame-socket.ts';
import { CommittingHost, submitTo } from '../../../../support/committing-host.ts';
import { exchangeOf } from '../../../../support/exchange.ts';
import { type LedgerInMemory, requestOf } from '../../../../support/ledger-in-memory.ts';
import { until } from '../../../../support/until.ts';

let host: CommittingHost;
let ledger: LedgerInMemory;
beforeEach(async () => {
  host = await CommittingHost.create();
  ledger = host.ledger;
});
afterEach(() => host.close());

describe('the workers of a host', () => {
  test('share batches: one is in flight at a time, and what all of them send meanwhile forms the next one', async () => {
    const [committer, second, third] = await host.start({ workers: 2 });
    const first = submitTo(committer, requestOf('a'));
    const open = await ledger.next();
    const others = [
      submitTo(second!, requestOf('b')),
      submitTo(third!, requestOf('c', 2)),
      submitTo(committer, requestOf('d')),
    ];
    await until(() => committer.waiting === 4);
    expect(ledger.batches).toEqual([['a']]);
    open.commit();
    (await ledger.next()).commit();
    expect(await Promise.all([first, ...others])).toEqual(['fresh', 'fresh', 'fresh', 'fresh']);
    expect(ledger.batches.map((keys) => keys.toSorted())).toEqual([['a'], ['b', 'c', 'd']]);
  });

  test('each get the results of their own requests, however many batches that takes', async () => {
    const [, second, third] = await host.start({ workers: 2, bounds: { batch: 7, waiting: 10_000 } });
    ledger.auto = true;
    const callers = Array.from({ length: 40 }, async (_, caller) => {
      for (let i = 0; i < 25; i++) {
        const key = `caller${caller}/${i}`;
        const result = await (caller % 2 === 0 ? second! : third!).submit(requestOf(key, 1 + (i % 3)));
        expect(result).toMatchObject({ state: 'fresh' });
        expect(result.state !== 'reused' && result.items.map(({ id }) => id)).toEqual(
          requestOf(key, 1 + (i % 3)).orders.map(({ id }) => id),
        );
      }
    });
    await Promise.all(callers);
    expect(ledger.batches.flat().length).toBe(1000);
    expect(second!.stats().fallbacks + third!.stats().fallbacks).toBe(0);
  });

  test('post directly while there is no committer, or none that responds', async () => {
    ledger.auto = true;
    const alone = host.worker();
    expect(await submitTo(alone, requestOf('a'))).toBe('fresh');
    alone.join(join(host.folder, 'nobody.sock'));
    expect(await submitTo(alone, requestOf('b'))).toBe('fresh');
    let isAsked = false;
    const onFrame = () => {
      isAsked = true;
    };
    const mute = FrameConnection.listen(host.socket, () => ({ onFrame, onClosed() {} }));
    alone.join(host.socket);
    await until(() => isAsked);
    expect(await submitTo(alone, requestOf('c'))).toBe('fresh');
    expect(alone.stats()).toEqual({ forwarded: 0, fallbacks: 0 });
    mute.close();
  });

  test('post a request that is too large for a frame directly', async () => {
    const [, second] = await host.start();
    ledger.auto = true;
    const { forwarded } = second!.stats();
    const [order] = requestOf('large').orders;
    const large = { ...requestOf('large'), orders: [{ ...order!, metadata: { text: 'x'.repeat(2 ** 20) } }] };
    expect(await submitTo(second!, large)).toBe('fresh');
    expect(second!.stats()).toEqual({ forwarded, fallbacks: 0 });
  });
});

describe('a refusal or failure at the committer reaches the caller as if it had happened here', () => {
  test('a key that is in progress in another worker', async () => {
    const [committer, second] = await host.start();
    const first = submitTo(committer, requestOf('a'));
    const open = await ledger.next();
    const refusal = await second!.submit(requestOf('a')).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 'idempotency_key_in_progress', retryAfterSeconds: 1 });
    open.commit();
    expect(await first).toBe('fresh');
  });

  test('a full queue', async () => {
    const [committer, second] = await host.start({ bounds: { waiting: 2 } });
    const first = submitTo(committer, requestOf('a'));
    const open = await ledger.next();
    const waiting = submitTo(committer, requestOf('b', 2));
    const refusal = await second!.submit(requestOf('c')).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 'queue_full', retryAfterSeconds: 1 });
    open.commit();
    (await ledger.next()).commit();
    expect(await Promise.all([first, waiting])).toEqual(['fresh', 'fresh']);
  });

  test('an unexpected error', async () => {
    const [, second] = await host.start();
    const posted = submitTo(second!, requestOf('a'));
    (await ledger.next()).fail(new Error('a bug'));
    expect(await posted).toBe('a bug');
  });
});

describe('a caller that is aborted', () => {
  const deadline = new AbortReason('deadline');

  test('before its request is sent leaves immediately', async () => {
    const [, second] = await host.start();
    const { exchange } = exchangeOf();
    const left = submitTo(second!, requestOf('a'), exchange);
    await Promise.resolve();
    exchange.abort(deadline);
    expect(await left).toBe('deadline_exceeded');
    expect(ledger.batches).toEqual([]);
  });

  test('before its batch is sealed leaves the queue of the committer', async () => {
    const [committer, second] = await host.start();
    const first = submitTo(committer, requestOf('a'));
    const open = await ledger.next();
    const { exchange } = exchangeOf();
    const left = submitTo(second!, requestOf('b'), exchange);
    await until(() => committer.waiting === 1);
    exchange.abort(deadline);
    expect(await left).toBe('deadline_exceeded');
    open.commit();
    expect(await first).toBe('fresh');
    expect(ledger.batches).toEqual([['a']]);
  });

  test('afterwards still gets the result', async () => {
    const [committer, second] = await host.start();
    const { exchange } = exchangeOf();
    const posted = submitTo(second!, requestOf('a'), exchange);
    const open = await ledger.next();
    exchange.abort(deadline);
    // Sent after the news that the caller has left, and so received after it.
    const later = submitTo(second!, requestOf('b'));
    await until(() => committer.waiting === 1);
    open.commit();
    expect(await posted).toBe('fresh');
    (await ledger.next()).commit();
    expect(await later).toBe('fresh');
  });

  test('by a lost connection is not sent', async () => {
    const [, second] = await host.start();
    const client = new AbortController();
    const { exchange } = exchangeOf({ signal: client.signal });
    const left = submitTo(second!, requestOf('a'), exchange);
    client.abort();
    expect(await left).toBe('request_aborted');
    expect(ledger.batches).toEqual([]);
  });

  test('by a lost connection leaves the queue of the committer, without a notification', async () => {
    const [committer, second] = await host.start();
    const first = submitTo(committer, requestOf('a'));
    const open = await ledger.next();
    const client = new AbortController();
    const { exchange } = exchangeOf({ signal: client.signal });
    const left = submitTo(second!, requestOf('b'), exchange);
    await until(() => committer.waiting === 1);
    client.abort();
    expect(await left).toBe('request_aborted');
    expect(committer.waiting).toBe(0);
    open.commit();
    expect(await first).toBe('fresh');
    expect(ledger.batches).toEqual([['a']]);
  });
});

test('a committer drops the waiting requests of a worker that is gone', async () => {
  const committer = host.worker();
  committer.serve(host.socket);
  const first = submitTo(committer, requestOf('a'));
  const open = await ledger.next();
  const connection = await FrameConnection.connect(host.socket, () => ({ onFrame() {}, onClosed() {} }));
  connection.send(JSON.stringify({ posts: [[1, requestOf('b')]], leaves: [] }));
  await until(() => committer.waiting === 1);
  connection.close();
  await until(() => committer.waiting === 0);
  open.commit();
  expect(await first).toBe('fresh');
  expect(ledger.batches).toEqual([['a']]);
});
