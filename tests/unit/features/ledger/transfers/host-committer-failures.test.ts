import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import type { PostRequest } from '../../../../../src/features/ledger/movement.ts';
import { FrameConnection } from '../../../../../src/utils/frame-socket.ts';
import { CommittingHost, type Member, submitTo } from '../../../../support/committing-host.ts';
import { type LedgerInMemory, requestOf } from '../../../../support/ledger-in-memory.ts';
import { until } from '../../../../support/until.ts';

let host: CommittingHost;
let ledger: LedgerInMemory;
beforeEach(async () => {
  host = await CommittingHost.create();
  ledger = host.ledger;
});
afterEach(() => host.close());

describe('a worker that loses its committer', () => {
  /** A committer that receives requests and posts none. While it is stalled, it sends nothing at all. */
  function scripted() {
    const requests: PostRequest[] = [];
    const connections: FrameConnection[] = [];
    const state = { requests, die, isStalled: false, closed: 0 };
    const listener = FrameConnection.listen(host.socket, (connection) => {
      connections.push(connection);
      return {
        onFrame(frame) {
          const { posts } = frame as { posts: [number, PostRequest][] };
          if (posts.length === 0 && !state.isStalled) connection.send('{"results":[],"errors":[]}');
          requests.push(...posts.map(([, request]) => request));
        },
        onClosed: () => state.closed++,
      };
    });
    function die(): void {
      listener.close();
      for (const connection of connections) connection.close();
    }
    return state;
  }

  /** A worker that sends its requests to a scripted committer, which has received these. */
  async function forwardTo(committer: ReturnType<typeof scripted>, keys: readonly string[], waiting = 20) {
    ledger.auto = true;
    const member = host.worker({ waiting });
    member.join(host.socket);
    await untilForwarding(member);
    const ends = keys.map((key) => submitTo(member, requestOf(key)));
    await until(() => keys.every((key) => committer.requests.some((request) => request.key === key)));
    return { member, ends };
  }

  /** Submits requests, which may get no reply, until another one was forwarded. */
  async function untilForwarding(member: Member): Promise<void> {
    const { forwarded } = member.stats();
    await until(() => {
      void submitTo(member, host.probe());
      return member.stats().forwarded > forwarded;
    });
  }

  test('posts what was in flight again, which is replayed if it had been posted: no key has two fresh results', async () => {
    const committer = scripted();
    const { member, ends } = await forwardTo(committer, ['a', 'b']);
    ledger.applied.add('b');
    committer.die();
    expect(await Promise.all(ends)).toEqual(['fresh', 'replayed']);
    expect([ledger.applied.has('a'), ledger.applied.has('b')]).toEqual([true, true]);
    expect(member.stats().fallbacks).toBeGreaterThanOrEqual(2);
    expect(await submitTo(member, requestOf('c'))).toBe('fresh');
  });

  test('does not report as refused what may have been posted', async () => {
    const committer = scripted();
    const { member, ends } = await forwardTo(committer, ['a'], 2);
    ledger.auto = false;
    // Too large to be forwarded, so they fill its own queue.
    const text = 'x'.repeat(2 ** 20);
    for (const key of ['x', 'y', 'z']) {
      const { orders, ...request } = requestOf(key);
      void submitTo(member, { ...request, orders: [{ ...orders[0]!, metadata: { text } }] });
      if (key === 'x') await until(() => ledger.open.length === 1);
    }
    committer.die();
    expect(await ends[0]!).toBe('dependency_unavailable');
  });

  test('finds a stalled one out, posts what it had, and returns to it once it responds', async () => {
    const committer = scripted();
    const { member, ends } = await forwardTo(committer, ['a']);
    committer.isStalled = true;
    expect(await ends[0]!).toBe('fresh');
    await until(() => committer.closed === 1);
    expect(await submitTo(member, requestOf('b'))).toBe('fresh');
    committer.isStalled = false;
    await untilForwarding(member);
    committer.die();
  });

  test('joins the next one, and lets the former one finish what it has', async () => {
    const [, second] = await host.start();
    const posted = submitTo(second!, requestOf('a'));
    const open = await ledger.next();
    const path = join(host.folder, 'next.sock');
    const next = host.worker();
    next.serve(path);
    host.socket = path;
    second!.join(path);
    open.commit();
    expect(await posted).toBe('fresh');
    expect(second!.stats().fallbacks).toBe(0);
    ledger.auto = true;
    await host.connect(second!);
  });

  test('is not needed by a committer that stops: it finishes the requests it has', async () => {
    const [committer, second] = await host.start();
    const posted = submitTo(second!, requestOf('a'));
    const open = await ledger.next();
    const stopped = committer.stopServing();
    open.commit();
    expect(await posted).toBe('fresh');
    await stopped;
    expect(second!.stats().fallbacks).toBe(0);
    ledger.auto = true;
    expect(await submitTo(second!, requestOf('b'))).toBe('fresh');
  });
});
