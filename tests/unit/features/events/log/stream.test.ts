import { describe, expect, test } from 'bun:test';
import {
  type EndReason,
  EventStream,
  type StreamPage,
  type StreamTimes,
} from '../../../../../src/features/events/log/stream.ts';

const FOREVER = 1e9;
const TIMES: StreamTimes = { heartbeatMs: FOREVER, ageMaxMs: FOREVER, unreadMs: FOREVER, retryMs: 1234 };

/** A stream over pages that a test puts in, with a reader that reads when the test does. */
function streamOver(pages: string[], times: Partial<StreamTimes> = {}) {
  const state = { reads: 0, keyChecks: 0, isKeyUsable: true, isUnavailable: false, sent: 0, failures: 0 };
  const ended: EndReason[] = [];
  const read = async (position: number): Promise<StreamPage | null> => {
    state.reads++;
    if (state.isUnavailable) throw new Error('away');
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
        if (state.isUnavailable) throw new Error('away');
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
  test('reads nothing before its reader is ready, and then one page at a time', async () => {
    const { next, state } = streamOver(['a', 'b', 'c']);
    await Bun.sleep(0);
    expect(state.reads).toBe(0);
    expect(await next()).toBe(GREETING);
    await Bun.sleep(0);
    expect(state.reads).toBe(0);
    expect(await next()).toBe('a');
    await Bun.sleep(0);
    expect(state).toMatchObject({ reads: 1, sent: 1 });
    expect([await next(), await next()]).toEqual(['b', 'c']);
  });

  test('sleeps at the end, and wakes when it is told', async () => {
    const pages: string[] = [];
    const { stream, next, state } = streamOver(pages);
    await next();
    const coming = next();
    await Bun.sleep(0);
    expect(state.reads).toBe(1);
    stream.tick(performance.now());
    await Bun.sleep(0);
    // The clock alone is no reason to look.
    expect(state.reads).toBe(1);
    pages.push('a');
    stream.notify();
    expect(await coming).toBe('a');
  });

  test('looks again when it is told during a look that found nothing', async () => {
    const pages: string[] = [];
    const { stream, next, state } = streamOver(pages);
    await next();
    const coming = next();
    stream.notify();
    pages.push('a');
    expect(await coming).toBe('a');
    expect(state.reads).toBeWithin(1, 3);
  });

  test('sends a heartbeat when it has been silent, and only while somebody reads', async () => {
    const { stream, next, ended } = streamOver([], { heartbeatMs: 20 });
    await next();
    const coming = next();
    await Bun.sleep(25);
    stream.tick(performance.now());
    expect(await coming).toMatch(HEARTBEAT);
    // Nobody reads: nothing is put down for later.
    await Bun.sleep(25);
    for (let i = 0; i < 5; i++) stream.tick(performance.now());
    stream.end('drain');
    expect(await next()).toBeNull();
    expect(ended).toEqual(['drain']);
  });

  test('stays while the database is away, says nothing wrong, and goes on from where it was', async () => {
    const { stream, next, state, ended } = streamOver(['a'], { heartbeatMs: 20 });
    await next();
    state.isUnavailable = true;
    const coming = next();
    await Bun.sleep(25);
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
  test('when its key is bad, without the page that it has read', async () => {
    const { next, state, ended } = streamOver(['secret']);
    await next();
    state.isKeyUsable = false;
    expect(await next()).toBeNull();
    expect({ sent: state.sent, ended }).toEqual({ sent: 0, ended: ['key'] });
  });

  test('when its key is bad and there is nothing to tell', async () => {
    const { stream, next, state, ended } = streamOver([], { heartbeatMs: 0 });
    await next();
    state.isKeyUsable = false;
    const coming = next();
    stream.tick(performance.now());
    expect(await coming).toBeNull();
    expect(ended).toEqual(['key']);
  });

  test('when it is old, after what it has told', async () => {
    const { stream, next, ended } = streamOver([]);
    await next();
    const coming = next();
    stream.tick(performance.now() + FOREVER + 1);
    expect(await coming).toBeNull();
    stream.end('client');
    expect(ended).toEqual(['age']);
  });

  test('when nobody has read for long, and not while somebody waits', async () => {
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
    await Bun.sleep(0);
    waiting.stream.tick(performance.now() + 5000);
    expect(waiting.ended).toEqual([]);
    waiting.stream.end('drain');
    expect(await coming).toBeNull();
  });

  test('when its reader goes away, in the middle of a look too', async () => {
    const { next, reader, state, ended } = streamOver(['a']);
    await next();
    void reader.read().catch(() => {});
    await reader.cancel();
    await Bun.sleep(0);
    expect({ sent: state.sent, ended }).toEqual({ sent: 0, ended: ['client'] });
  });
});
