import { AtlasError } from '../../../errors.ts';
import { parseEventId, type SentEvent } from './domain.ts';
import type { EventFilter, EventRepository } from './repository.ts';
import type { EventStreams, Reader } from './streams.ts';

/** A page of events, oldest first. */
export interface EventPage {
  readonly events: readonly SentEvent[];
  /** The position to go on after: always there, as events come after the last one of today. */
  readonly resume: number;
  /** Whether there is more already. */
  readonly hasMore: boolean;
}

/** Where a stream begins: after a position, or with what comes from now on. */
export type StreamStart = number | 'now';

/** The verbs of events. All are of one owner, and throw `AtlasError`. */
export interface EventService {
  list(
    owner: string,
    filter: EventFilter,
    after: number,
    limit: number,
    signal?: AbortSignal,
  ): Promise<EventPage>;
  find(owner: string, id: string, signal?: AbortSignal): Promise<SentEvent>;
  /** Follows the owner's events, as server-sent events. Throws `too_many_streams` when as many are open as may be. */
  follow(reader: Reader, start: StreamStart, signal: AbortSignal): Promise<ReadableStream<Uint8Array>>;
}

// A type that hardly ever occurs is looked for in steps, so that no page takes longer than this many rows.
const LOOK_MAX = 5000;

export function createEventService(repository: EventRepository, streams: EventStreams): EventService {
  const cut = (found: readonly SentEvent[], after: number, limit: number): EventPage => {
    const events = found.slice(0, limit);
    return { events, resume: events.at(-1)?.position ?? after, hasMore: found.length > limit };
  };

  /** Null where the position is not of an event of the key: else its own index leads on from there. */
  async function listOfKey(
    owner: string,
    { key, type }: { key: string; type?: string | undefined },
    after: number,
    limit: number,
    signal?: AbortSignal,
  ): Promise<EventPage | null> {
    const sequence = after === 0 ? -1 : await repository.sequenceAt(key, after, signal);
    if (sequence === null) return null;
    const page = cut(await repository.listOfKey(owner, key, sequence, limit + 1, signal), after, limit);
    if (type === undefined) return page;
    return { ...page, events: page.events.filter((event) => event.type === type) };
  }

  async function search(
    owner: string,
    filter: EventFilter,
    after: number,
    limit: number,
    signal?: AbortSignal,
  ): Promise<EventPage> {
    const found = await repository.search(owner, filter, after, limit + 1, LOOK_MAX, signal);
    const page = cut(found.events, after, limit);
    if (page.hasMore) return page;
    return { ...page, resume: found.lookedTo ?? after, hasMore: found.looked === LOOK_MAX };
  }

  async function read(
    owner: string,
    { key, type }: EventFilter,
    after: number,
    limit: number,
    signal?: AbortSignal,
  ): Promise<EventPage> {
    if (key === undefined && type === undefined)
      return cut(await repository.listAfter(owner, after, limit + 1, signal), after, limit);
    const page = key === undefined ? null : await listOfKey(owner, { key, type }, after, limit, signal);
    return page ?? search(owner, { key, type }, after, limit, signal);
  }

  return {
    async list(owner, filter, after, limit, signal) {
      const page = await read(owner, filter, after, limit, signal);
      // A position beyond the end is of another log, such as the one before a restore: waiting there would miss events.
      if (page.resume === after && after > 0 && after > (await repository.lastPosition(signal)))
        throw new AtlasError('event_not_found', 'The log ends before the position of the cursor.');
      return page;
    },
    async find(owner, id, signal) {
      const { key, sequence } = parseEventId(id);
      const event = await repository.find(owner, key, sequence, signal);
      if (event === null) throw new AtlasError('event_not_found', `There is no event ${id}.`);
      return event;
    },
    async follow(reader, start, signal) {
      streams.requireRoom(reader.owner);
      const last = await repository.lastPosition(signal);
      // Nobody would ever read the stream, nor cancel it.
      if (signal.aborted) throw new AtlasError('request_aborted', 'The caller went away.');
      if (start !== 'now' && start > last)
        throw new AtlasError('event_not_found', 'The log ends before the event to go on after.');
      return streams.open(reader, start === 'now' ? last : start, signal);
    },
  };
}
