import { describe, expect, test } from 'bun:test';
import {
  type EndReason,
  EventStream,
  type StreamPage,
  type StreamTimes,
} from '../../../../../src/features/events/log/stream.ts';
import { settled } from '../../../../support/virtual-time.ts';

const FOREVER = 1e9;
const HEARTBEAT_MS = 20;
/** How long a stream says nothing, so that a heartbeat is due. */
const SILENCE_MS = 25;
const TIMES: StreamTimes = { heartbeatMs: FOREVER, ageMaxMs: FOREVER, unreadMs: FOREVER, retryMs: 1234 };

/** A stream over pages that a test supplies, with a client that reads when the test does. */
function streamOver(pages: string[], times: Partial<StreamTimes> = {}) {
  const state = { reads: 0, keyChecks: 0, isKeyUsable: true, isUnavailable: false, sent: 0, failures: 0 };
  const ended: EndReason[] = [];
  const read = async (position: number): Promise<StreamPage | null> => {
    state.reads++;
    if (state.isUnavailable) throw new Error('unavailable');
    const text = pages[position];
    if (text === undefined) return null;
    const bytes = new TextEncoder().encode(text);
    return { bytes, events: 1, lastPosition: position + 1, isFull: pages.length > position + 1 };
  };
  const stream = new EventStream(
    0,
    { ...TIMES, ...times },
    {
      read,
      isKeyUsable: async () => {
        state.keyChecks++;
        if (state.isUnavailable) throw new Error('unavailable');
        return state.isKeyUsable;
      },
      onSent: (events) => {
        state.sent += events;
      },
      onFailure: () => {
        state.failures++;
      },
      onEnd: (reason) => ended.push(reason),
    },
  );
  const reader = stream.body.getReader();
  const decoder = new TextDecoder();
  const next = async () => {
    const { value, done } = await reader.read();
    return done ? null : decoder.decode(value);
  };
  return { stream, reader, next, state, ended };
}

const GREETING = 'retry: 1234\nid: e0000000000000\n\n';
const HEARTBEAT = /^: .+\n\n$/;

describe('a stream', () => {
  test('reads nothing before its client is ready, and then one page at a time', async () => {
    const { next, state } = streamOver(['a', 'b', 'c']);
    await settled();
    expect(state.reads).toBe(0);
    expect(await next()).toBe(GREETING);
    await settled();
    expect(state.reads).toBe(0);
    expect(await next()).toBe('a');
    await settled();
    expect(state).toMatchObject({ reads: 1, sent: 1 });
    expect([await next(), await next()]).toEqual(['b', 'c']);
  });

  test('sleeps at the end of the log, and wakes when notified', async () => {
    const pages: string[] = [];
    const { stream, next, state } = streamOver(pages);
    await next();
    const coming = next();
    await settled();
    expect(state.reads).toBe(1);
    stream.tick(performance.now());
    await settled();
    // A tick alone does not cause a read.
    expect(state.reads).toBe(1);
    pages.push('a');
    stream.notify();
    expect(await coming).toBe('a');
  });

  test('reads again when notified during a read that found nothing', async () => {
    const pages: string[] = [];
    const { stream, next, state } = streamOver(pages);
    await next();
    const coming = next();
    stream.notify();
    pages.push('a');
    expect(await coming).toBe('a');
    expect(state.reads).toBeWithin(1, 3);
  });

  test('sends a heartbeat when idle, and only while the client reads', async () => {
    const { stream, next, ended } = streamOver([], { heartbeatMs: HEARTBEAT_MS });
    await next();
    const coming = next();
    await Bun.sleep(SILENCE_MS);
    stream.tick(performance.now());
    expect(await coming).toMatch(HEARTBEAT);
    // Without a reader, no heartbeat is queued.
    await Bun.sleep(SILENCE_MS);
    for (let i = 0; i < 5; i++) stream.tick(performance.now());
    stream.end('drain');
    expect(await next()).toBeNull();
    expect(ended).toEqual(['drain']);
  });

  test('survives a database outage without wrong output, and resumes where it was', async () => {
    const { stream, next, state, ended } = streamOver(['a'], { heartbeatMs: HEARTBEAT_MS });
    await next();
    state.isUnavailable = true;
    const coming = next();
    await Bun.sleep(SILENCE_MS);
    stream.tick(performance.now());
    expect(await coming).toMatch(HEARTBEAT);
    expect(state.failures).toBeGreaterThan(0);
    state.isUnavailable = false;
    const clock = setInterval(() => stream.tick(performance.now()), 5);
    const texts: (string | null)[] = [];
    while (texts.at(-1) !== 'a') {
      texts.push(await next());
      if (texts.at(-1) !== 'a') expect(texts.at(-1)).toMatch(HEARTBEAT);
    }
    clearInterval(clock);
    expect({ sent: state.sent, ended }).toEqual({ sent: 1, ended: [] });
  });
});

describe('a stream ends, once and for one reason,', () => {
  test('when its key is revoked, without sending the page it has read', async () => {
    const { next, state, ended } = streamOver(['secret']);
    await next();
    state.isKeyUsable = false;
    expect(await next()).toBeNull();
    expect({ sent: state.sent, ended }).toEqual({ sent: 0, ended: ['key'] });
  });

  test('when its key is revoked and there is nothing to send', async () => {
    const { stream, next, state, ended } = streamOver([], { heartbeatMs: 0 });
    await next();
    state.isKeyUsable = false;
    const coming = next();
    stream.tick(performance.now());
    expect(await coming).toBeNull();
    expect(ended).toEqual(['key']);
  });

  test('at its maximum age, after what it has sent', async () => {
    const { stream, next, ended } = streamOver([]);
    await next();
    const coming = next();
    stream.tick(performance.now() + FOREVER + 1);
    expect(await coming).toBeNull();
    stream.end('client');
    expect(ended).toEqual(['age']);
  });

  test('when its client has not read for long, and not while the client waits', async () => {
    const slow = streamOver(['a'], { unreadMs: 1000 });
    slow.stream.tick(performance.now() + 900);
    expect(slow.ended).toEqual([]);
    slow.stream.tick(performance.now() + 1100);
    expect(slow.ended).toEqual(['slow']);
    expect(await slow.next()).toBeNull();
    expect(slow.state.reads).toBe(0);

    const waiting = streamOver([], { unreadMs: 1000 });
    await waiting.next();
    const coming = waiting.next();
    await settled();
    waiting.stream.tick(performance.now() + 5000);
    expect(waiting.ended).toEqual([]);
    waiting.stream.end('drain');
    expect(await coming).toBeNull();
  });

  test('when its client disconnects, also during a read', async () => {
    const { next, reader, state, ended } = streamOver(['a']);
    await next();
    void reader.read().catch(() => {});
    await reader.cancel();
    await settled();
    expect({ sent: state.sent, ended }).toEqual({ sent: 0, ended: ['client'] });
  });
});
