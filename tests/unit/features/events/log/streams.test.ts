import { describe, expect, test } from 'bun:test';
import { AtlasError } from '../../../../../src/errors.ts';
import { EventStreams } from '../../../../../src/features/events/log/streams.ts';
import { until } from '../../../../support/until.ts';
import { eventsInMemory } from './events-in-memory.ts';

const NEVER = new AbortController().signal;
/** Three polls would fall into this time if anybody still polled. */
const SILENCE_MS = 300;

function streamsOver({ repository }: ReturnType<typeof eventsInMemory>, streamsMax = 10) {
  const failures: unknown[] = [];
  const lifecycle = { draining: false };
  const streams = new EventStreams({
    repository,
    isKeyUsable: async () => true,
    lifecycle,
    onFailure: (error) => failures.push(error),
    heartbeatMs: 60_000,
    streamsMax,
    streamsOfOwnerMax: 3,
  });
  const open = (owner: string, position = 0, signal = NEVER) => {
    const reader = streams.open({ owner, keyId: 'key' }, position, signal).getReader();
    return {
      /** The ids of the next chunk. The greeting has one too. */
      ids: async () => {
        const { value } = await reader.read();
        const text = new TextDecoder().decode(value);
        return [...text.matchAll(/^id: (\w+)$/gm)].map(([, id]) => Number.parseInt(id!.slice(1), 16));
      },
      leave: () => reader.cancel(),
    };
  };
  return { streams, open, failures, lifecycle };
}

const codeOf = (work: () => unknown) => {
  try {
    work();
  } catch (error) {
    return error instanceof AtlasError ? error.code : error;
  }
  return null;
};

describe('the streams of a worker', () => {
  test('are limited per worker and per owner, and counted', async () => {
    const { streams, open } = streamsOver(eventsInMemory(), 5);
    const readers = [open('alice'), open('alice'), open('alice')];
    expect(codeOf(() => open('alice'))).toBe('too_many_streams');
    readers.push(open('bob'), open('carol'));
    expect(codeOf(() => open('eve'))).toBe('too_many_streams');
    expect(codeOf(() => streams.requireSlot('eve'))).toBe('too_many_streams');
    expect(streams.stats()).toMatchObject({ open: 5, refused: { owner: 1, worker: 2 } });
    await readers.pop()!.leave();
    readers.push(open('eve'));
    await Promise.all(readers.map(({ leave }) => leave()));
    expect(streams.stats().open).toBe(0);
  });

  test('leave one for an owner that has none, however many others have some', async () => {
    const { open } = streamsOver(eventsInMemory(), 7);
    const readers = [open('alice'), open('alice'), open('alice'), open('bob'), open('bob')];
    // Below the maximum of an owner, but more than would be left.
    expect(codeOf(() => open('bob'))).toBe('too_many_streams');
    readers.push(open('carol'));
    expect(codeOf(() => open('carol'))).toBe('too_many_streams');
    readers.push(open('eve'));
    await Promise.all(readers.map(({ leave }) => leave()));
  });

  test('share reads at the same position', async () => {
    const events = eventsInMemory();
    events.append('alice', 3);
    const { open } = streamsOver(events);
    const readers = [open('alice'), open('alice'), open('alice')];
    await Promise.all(readers.map(({ ids }) => ids()));
    const pages = await Promise.all(readers.map(({ ids }) => ids()));
    expect(pages).toEqual([
      [1, 2, 3],
      [1, 2, 3],
      [1, 2, 3],
    ]);
    expect(events.state.reads).toBe(1);
    await Promise.all(readers.map(({ leave }) => leave()));
  });

  test('do not share a read that started before the events that one of them was notified of', async () => {
    const events = eventsInMemory();
    const { open } = streamsOver(events);
    const first = open('alice');
    await first.ids();
    const held = Promise.withResolvers<void>();
    events.state.held = held.promise;
    const old = first.ids();
    await until(() => events.state.polls > 0);
    events.append('alice');
    events.state.held = null;
    const { polls } = events.state;
    await until(() => events.state.polls > polls + 1);
    const second = open('alice');
    await second.ids();
    expect(await second.ids()).toEqual([1]);
    held.resolve();
    // It was notified in the meantime, so it reads again.
    expect(await old).toEqual([1]);
    await Promise.all([first.leave(), second.leave()]);
  });

  test('read long logs in pages, each event once', async () => {
    const events = eventsInMemory();
    for (let i = 0; i < 70; i++) {
      events.append('alice');
      events.append('bob');
    }
    const { streams, open } = streamsOver(events);
    const reader = open('alice');
    await reader.ids();
    const pages = [await reader.ids(), await reader.ids()];
    expect(pages.map(({ length }) => length)).toEqual([50, 20]);
    expect(pages.flat()).toEqual(Array.from({ length: 70 }, (_, i) => 2 * i + 1));
    expect(streams.stats().events).toBe(70);
    await reader.leave();
  });

  test('are woken by one poll when their owner has new events, and not by events of others', async () => {
    const events = eventsInMemory();
    const { open } = streamsOver(events);
    const [alice, bob] = [open('alice'), open('bob')];
    await Promise.all([alice.ids(), bob.ids()]);
    const [ofAlice, ofBob] = [alice.ids(), bob.ids()];
    // The first poll of the tail wakes all streams; after that only new events do.
    await until(() => events.state.polls > 1);
    const { reads } = events.state;
    events.append('alice');
    expect(await ofAlice).toEqual([1]);
    expect(events.state.reads).toBe(reads + 1);
    await Promise.all([alice.leave(), bob.leave()]);
    expect(await ofBob).toEqual([]);
  });

  test('leave nothing behind: after the last one ends, the log is not polled', async () => {
    const events = eventsInMemory();
    const { streams, open } = streamsOver(events);
    const controller = new AbortController();
    const [first, second] = [open('alice'), open('alice', 0, controller.signal)];
    await first.ids();
    await first.leave();
    controller.abort();
    expect(await second.ids()).toEqual([]);
    expect(streams.stats()).toMatchObject({ open: 0, ended: { client: 2 } });
    const { polls } = events.state;
    await Bun.sleep(SILENCE_MS);
    expect(events.state.polls).toBe(polls);
  });

  test('miss no event from a time when the log could not be read', async () => {
    const events = eventsInMemory();
    const { streams, open, failures } = streamsOver(events);
    const reader = open('alice');
    await reader.ids();
    const coming = reader.ids();
    await until(() => events.state.polls > 0);
    events.state.isUnavailable = true;
    events.append('alice', 2);
    await until(() => streams.stats().failures > 1);
    events.append('alice');
    events.state.isUnavailable = false;
    expect(await coming).toEqual([1, 2, 3]);
    // Many failures are reported once.
    expect(failures).toHaveLength(1);
    await reader.leave();
  });

  test('end when the process drains, however many there are', async () => {
    const { streams, open, lifecycle } = streamsOver(eventsInMemory());
    const readers = [open('alice'), open('bob'), open('eve')];
    await Promise.all(readers.map(({ ids }) => ids()));
    const coming = readers.map(({ ids }) => ids());
    lifecycle.draining = true;
    expect(await Promise.all(coming)).toEqual([[], [], []]);
    expect(streams.stats()).toMatchObject({ open: 0, ended: { drain: 3 } });
  });
});
